"""What the views of a batch look like, from seeded generators; which sources it holds say its streams.

Legend: B batch, C channel, H W pixels, N sources.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from equirgz.augment import AUGMENTATIONS, Augmentation, create_augmentation
from equirgz.config import TrainConfig
from equirgz.errors import InputError
from equirgz.images import scale_bytes
from equirgz.objectives.base import Batch, Objective, View
from equirgz.seeding import derive_seed
from equirgz.train.images import TrainImages
from equirgz.train.sources.streams import make_stream


def batch_sizes(objective: Objective, images: TrainImages, batch_size: int, multiple: int) -> dict[str, int]:
    """Return pool -> sources per batch: at most all of them, and a multiple of ``multiple``."""
    sizes = {}
    for pool in dict.fromkeys(view.pool for view in objective.views.values()):
        ratio = objective.unlabelled_ratio if pool == "unlabelled" else 1
        size = batch_size * ratio if pool in images.fresh else min(batch_size * ratio, len(images.pool(pool)))
        sizes[pool] = size - size % multiple
        needed = 2 if has_batch_norm(objective) else 1
        if sizes[pool] // multiple < needed:
            share = f" in each of {multiple} parts" if multiple > 1 else ""
            raise InputError(
                f"batch of {pool} images",
                expected=f"at least {needed} sources{share}" + (" (batch norm)" if needed > 1 else ""),
                got=f"batch_size {batch_size} of {len(images.pool(pool))} sources",
                mend="raise batch_size or give more sources",
            )
    return sizes


def has_batch_norm(module: torch.nn.Module) -> bool:
    """Return whether a layer that is in train mode normalises over the batch."""
    return any("BatchNorm" in type(part).__name__ and part.training for part in module.modules())


class BatchMaker:
    """Draws sources and makes the views of every batch, on the device of the images."""

    def __init__(
        self,
        objective: Objective,
        images: TrainImages,
        config: TrainConfig,
        seed: int,
        multiple: int = 1,
        dtype: torch.dtype = torch.float32,
    ):
        self.images, self.dtype = images, dtype
        labelled = (role for role, view in objective.views.items() if view.pool == "labelled")
        self.turned = next(labelled, None) if objective.target_task.dense else None  # the view that turns its targets
        self.views = dict(objective.views)
        sizes = batch_sizes(objective, images, config.batch_size, multiple)
        self.streams = {
            pool: make_stream(images, pool, size, derive_seed(seed, "batches", pool)) for pool, size in sizes.items()
        }
        self.augmentations = {
            role: _augmentation(view, config, images, turned=role == self.turned) for role, view in self.views.items()
        }
        if circular := objective.target_task.circular:
            labelled = (made for role, made in self.augmentations.items() if self.views[role].pool == "labelled")
            _check_angles_stay(circular, labelled, images)
        self.wide = {role for role, made in self.augmentations.items() if made.canvas > 1}
        self.generators = {role: torch.Generator().manual_seed(derive_seed(seed, "views", role)) for role in self.views}

    def next(self) -> Batch:
        """Return the next batch, with all its views."""
        index = {pool: stream.next() for pool, stream in self.streams.items()}
        taken = {pool: self.images.take(pool, index_B, self._kinds(pool)) for pool, index_B in index.items()}
        drawn = {
            (pool, wide): self._floats(x_BCHW) for pool, kinds in taken.items() for wide, x_BCHW in kinds.x.items()
        }
        label_B, view = taken["labelled"].y_B if "labelled" in taken else None, {}
        for role, spec in self.views.items():
            augmentation, generator = self.augmentations[role], self.generators[role]
            x_BCHW = drawn[spec.pool, role in self.wide]
            if role == self.turned and label_B is not None:
                view[role], label_B = augmentation.with_maps(x_BCHW, label_B, generator)
            else:
                view[role] = augmentation(x_BCHW, generator)
        return Batch(
            view=view,
            label_B=label_B,
            index=index,
            hidden_label_B=_take(self.images.hidden_label_M, index.get("unlabelled")),
        )

    def _kinds(self, pool: str) -> set[bool]:
        """Return whether canvases (True), images (False) or both of a pool are looked at."""
        return {role in self.wide for role, spec in self.views.items() if spec.pool == pool}

    def _floats(self, x_BCHW: Tensor) -> Tensor:
        return (x_BCHW if x_BCHW.is_floating_point() else scale_bytes(x_BCHW)).to(self.dtype)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of all streams and generators."""
        return {
            "streams": {pool: stream.state_dict() for pool, stream in self.streams.items()},
            "views": {role: generator.get_state() for role, generator in self.generators.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where :meth:`state_dict` was taken."""
        for pool, stream in self.streams.items():
            stream.load_state_dict(state["streams"][pool])
        for role, generator in self.generators.items():
            generator.set_state(state["views"][role].cpu())


def _check_angles_stay(names: tuple[str, ...], made: Iterable[Augmentation], images: TrainImages) -> None:
    """Refuse views that turn or mirror images whose targets are angles, which would stay where they were."""
    for augmentation in made:
        pose = augmentation.draw_pose(1, images.image_size, torch.Generator().manual_seed(0))
        if pose.angle_deg_B is not None or pose.reflect_B is not None:
            raise InputError(
                f"circular target {names[0]!r}",
                expected="views that leave angles on the sky as they are",
                got=f"augmentation {augmentation.name!r}, which turns images and not their targets",
                mend="set augmentation to none",
            )


def _augmentation(view: View, config: TrainConfig, images: TrainImages, *, turned: bool) -> Augmentation:
    if view.strength != "train":
        return create_augmentation(view.strength, mask=images.mask)
    wide = images.canvas(view.pool) is not None and not turned  # maps have no canvas
    return make_train_augmentation(
        config, mask=images.mask, pixel_scale_arcsec=images.pixel_scale_arcsec,
        image_size=images.image_size if wide else None,
    )  # fmt: skip


def make_train_augmentation(
    config: TrainConfig, *, mask: bool, pixel_scale_arcsec: float, image_size: int | None
) -> Augmentation:
    """Return the configured augmentation; it counts in the images' arcsec and is cut from their canvas, if it can.

    ``image_size`` is the side of the views where there are canvases to cut them from; without, None.
    """
    given = {"mask": mask}
    takes = inspect.signature(AUGMENTATIONS.get(config.augmentation)).parameters
    if "pixel_scale_arcsec" in takes and math.isfinite(pixel_scale_arcsec):
        given["pixel_scale_arcsec"] = pixel_scale_arcsec
    made = create_augmentation(config.augmentation, **given | config.augmentation_params)
    if made.canvas > 1 and image_size is None:
        made.canvas = 1.0
    elif made.canvas > 1 and made.size_px is None:
        made.size_px = image_size
    return made


def _take(value_N: Tensor | None, index_B: Tensor | None) -> Tensor | None:
    if value_N is None or index_B is None:
        return None
    return value_N.index_select(0, index_B.to(value_N.device))


def split_batch(batch: Batch, part: int, parts: int) -> Batch:
    """Return the ``part``-th of ``parts`` equal, interleaved shares of a batch."""
    if parts == 1:
        return batch

    def share(value: Tensor | None) -> Tensor | None:
        return None if value is None else value[part::parts]

    return Batch(
        view={role: share(x) for role, x in batch.view.items()},
        label_B=share(batch.label_B),
        index={pool: share(index) for pool, index in batch.index.items()},
        hidden_label_B=share(batch.hidden_label_B),
    )
