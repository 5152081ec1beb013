"""Which sources a batch holds and what its views look like, both from seeded generators.

Legend: B batch, C channel, H W pixels, N sources.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
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


class IndexStream:
    """An endless stream of passes over ``n`` sources, each pass in a new random order.

    Batches all have the same size: one that reaches the end of a pass is filled from the next one,
    so that after any number of batches no source was drawn more than once more often than another.
    With weights w a pass still has n draws, and holds source i ``n w_i / sum w`` times, rounded up or down at
    random without bias (systematic sampling).
    """

    def __init__(self, n: int, batch_size: int, seed: int, weight_N: Tensor | None = None) -> None:
        self.n, self.batch_size = n, batch_size
        self.cumulated_N = None if weight_N is None else (weight_N / weight_N.sum()).cpu().cumsum(0)
        self.generator = torch.Generator().manual_seed(seed)
        self.left = torch.empty(0, dtype=torch.int64)

    def next(self) -> Tensor:
        """Return the next index_B."""
        while len(self.left) < self.batch_size:
            self.left = torch.cat([self.left, self._draw_pass()])
        index_B, self.left = self.left[: self.batch_size], self.left[self.batch_size :]
        return index_B

    def _draw_pass(self) -> Tensor:
        order_N = torch.randperm(self.n, generator=self.generator)
        if self.cumulated_N is None:
            return order_N
        start = torch.rand(1, dtype=torch.float64, generator=self.generator)
        drawn_N = torch.searchsorted(self.cumulated_N, (torch.arange(self.n) + start) / self.n, right=True)
        return drawn_N.clamp_max(self.n - 1)[order_N]

    def state_dict(self) -> dict[str, Tensor]:
        """Return the position in the current pass and the state of the generator."""
        return {"left": self.left.clone(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue where :meth:`state_dict` was taken."""
        self.left = state["left"].clone()
        self.generator.set_state(state["generator"].cpu())


class MixedStream:
    """A stream that fills every batch from consecutive parts of a set, each in its share.

    Part k of share s_k gives ``batch_size s_k / sum s`` sources, rounded so that the sum is ``batch_size`` (largest
    remainders first), and at least one; each part is an :class:`IndexStream` of its own.
    """

    def __init__(self, parts: Sequence[tuple[int, float]], batch_size: int, seed: int) -> None:
        self.n, self.batch_size = sum(n for n, _ in parts), batch_size
        wanted_P = torch.tensor([share for _, share in parts], dtype=torch.float64)
        sizes = _round_shares(batch_size * wanted_P / wanted_P.sum(), batch_size)
        starts = [sum(n for n, _ in parts[:k]) for k in range(len(parts))]
        streams = [IndexStream(n, size, derive_seed(seed, f"part {k}"))
                   for k, ((n, _), size) in enumerate(zip(parts, sizes, strict=True))]  # fmt: skip
        self.parts = list(zip(starts, streams, strict=True))

    def next(self) -> Tensor:
        """Return the next index_B, part after part."""
        return torch.cat([start + stream.next() for start, stream in self.parts])

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all parts."""
        return {str(k): stream.state_dict() for k, (_, stream) in enumerate(self.parts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where :meth:`state_dict` was taken."""
        for k, (_, stream) in enumerate(self.parts):
            stream.load_state_dict(state[str(k)])


def _round_shares(wanted_P: Tensor, total: int) -> list[int]:
    """Return whole numbers near ``wanted_P``, each at least 1, that add up to ``total``."""
    if len(wanted_P) > total:
        mend = "raise batch_size or name fewer sets"
        raise InputError("batch_size", expected=f"at least {len(wanted_P)}, one of each set", got=total, mend=mend)
    size_P = wanted_P.floor().clamp_min(1).long()
    while (left := total - int(size_P.sum())) != 0:
        short_P = wanted_P - size_P
        place = int(short_P.argmax()) if left > 0 else int(short_P.masked_fill(size_P <= 1, float("inf")).argmin())
        size_P[place] += 1 if left > 0 else -1
    return size_P.tolist()


def batch_sizes(objective: Objective, images: TrainImages, batch_size: int, multiple: int) -> dict[str, int]:
    """Return pool -> sources per batch: at most all of them, and a multiple of ``multiple``."""
    sizes = {}
    for pool in dict.fromkeys(view.pool for view in objective.views.values()):
        ratio = objective.unlabelled_ratio if pool == "unlabelled" else 1
        size = min(batch_size * ratio, len(images.pool(pool)))
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
            pool: _make_stream(images, pool, size, derive_seed(seed, "batches", pool)) for pool, size in sizes.items()
        }
        self.augmentations = {
            role: _augmentation(view, config, images, turned=role == self.turned) for role, view in self.views.items()
        }
        self.wide = {role for role, made in self.augmentations.items() if made.canvas > 1}
        self.generators = {role: torch.Generator().manual_seed(derive_seed(seed, "views", role)) for role in self.views}

    def next(self) -> Batch:
        """Return the next batch, with all its views."""
        index = {pool: stream.next() for pool, stream in self.streams.items()}
        drawn = {
            (pool, wide): self._floats(_take(images, index_B))
            for pool, index_B in index.items()
            for wide, images in ((False, self.images.pool(pool)), (True, self.images.canvas(pool)))
            if images is not None and any((role in self.wide) == wide for role in self._roles(pool))
        }
        label_B, view = _take(self.images.y_N, index.get("labelled")), {}
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

    def _roles(self, pool: str) -> list[str]:
        return [role for role, spec in self.views.items() if spec.pool == pool]

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


def _make_stream(images: TrainImages, pool: str, size: int, seed: int) -> IndexStream | MixedStream:
    if pool == "unlabelled" and images.share_of_parts:
        return MixedStream(images.share_of_parts, size, seed)
    return IndexStream(len(images.pool(pool)), size, seed, images.weight_N if pool == "labelled" else None)


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
