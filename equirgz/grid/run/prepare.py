"""What a run has before its training: its sources, who of them trains and who tests, and its network."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from equirgz.augment import create_augmentation
from equirgz.backbones import Backbone, create_backbone
from equirgz.config import PretrainConfig, RunConfig, SplitConfig, TaskConfig
from equirgz.data import Data, ImageSet, Split, load_data, split_data
from equirgz.data.held_out import load_apart
from equirgz.data.pools import measure_shares
from equirgz.data.splits.hidden_labels import find_hidden_labels
from equirgz.grid.further.needs import check_further, check_kind
from equirgz.grid.run.readouts import check_readouts, check_served
from equirgz.grid.run.resources import Clock, reset_peak
from equirgz.grid.run.targets import check_targets, make_task
from equirgz.seeding import derive_seed
from equirgz.tasks import Task
from equirgz.train.images import TrainImages
from equirgz.train.memory import keep_freed_memory
from equirgz.train.sources.beside import draw_fresh, label_sources, load_joint


@dataclass(frozen=True)
class PreparedRun:
    """Data, split and network of a run; a training changes the network's weights in place."""

    config: RunConfig
    data: Data
    split: Split
    backbone: Backbone
    clock: Clock = field(default_factory=Clock)
    data_dir: Path | None = None

    @cached_property
    def labelled(self) -> ImageSet:
        """The labelled training sources."""
        return self.data.train.subset(self.split.train_index)

    @cached_property
    def eval_sets(self) -> dict[str, ImageSet]:
        """The sets that answers are measured on: every test set, and ``val`` where there is one."""
        sets = {
            name: images if self.task.has_targets(images) else images.without_labels()  # other classes: no score
            for name, images in self.data.tests.items()
        }
        if len(self.split.val_index):
            sets["val"] = self.data.train.subset(self.split.val_index)
        return sets

    @cached_property
    def task(self) -> Task:
        """What the network is asked of each source."""
        return make_task(self.config, self.data.train)

    @cached_property
    def own_pool(self) -> ImageSet:
        """All training sources outside validation: what may be used of the target set without labels."""
        return self.data.train.subset(self.split.unlabelled_index)

    @property
    def pool_NCHW(self) -> np.ndarray:
        """Images without labels: the configured set or sets, all training sources outside validation, or both."""
        return np.concatenate([images.x_NCHW for images in self._pools()])

    @property
    def pool_canvas_NCHW(self) -> np.ndarray | None:
        """The canvases of ``pool_NCHW``; None where some of it has none."""
        canvases = [images.canvas_NCHW for images in self._pools()]
        if any(canvas is None for canvas in canvases) or len({canvas.shape[-1] for canvas in canvases}) > 1:
            return None
        return np.concatenate(canvases)

    @property
    def share_of_parts(self) -> list[tuple[int, float]]:
        """(sources, share of a batch) of the consecutive sets in ``pool_NCHW``; [] where it is drawn as one."""
        return [] if self.data.unlabelled is None else measure_shares(self.config.data, self.data.unlabelled)

    def _pools(self) -> list[ImageSet]:
        if self.data.unlabelled is None:
            return [self.own_pool]
        return [self.data.unlabelled, *([self.own_pool] if self.config.data.unlabelled_with_train else [])]

    @cached_property
    def joint(self) -> Data | None:
        """The sources of another set in every batch of the training, labelled as the run's; None without them."""
        joint = self.config.joint
        if joint is None:
            return None
        val_ids, canvas = self.data.train.source_id_N[self.split.val_index], find_canvas(self.config)
        return load_joint(joint, self.config.data, self.data, val_ids, self.data_dir, canvas=canvas)

    def make_images(self, *, task: Task | None = None, unlabelled: bool = True) -> TrainImages:
        """Return what a training sees: labelled sources with the targets of ``task``, if given, and unlabelled ones."""
        labelled: dict[str, Any] = {}
        if task is not None:
            labelled = label_sources(self.labelled, self.data, self.joint, self.config.joint, task)
        pool: dict[str, Any] = {}
        if unlabelled:
            pool = {"u_MCHW": self.pool_NCHW, "u_canvas_MCHW": self.pool_canvas_NCHW}
            pool["share_of_parts"] = self.share_of_parts
            if task is None and self.data.unlabelled is None and self.data.endless is not None:
                pool["fresh"] = {"unlabelled": draw_fresh(self.data)}
            if task is not None and self.task.categorical:
                pool["hidden_label_M"] = self.hidden_label_M
        scale = self.data.train.pixel_scale_arcsec
        return TrainImages(**labelled, **pool, mask=self.config.data.mask, pixel_scale_arcsec=scale)

    @property
    def hidden_label_M(self) -> np.ndarray:
        """Labels of the images of ``pool_NCHW`` where they are known, -1 elsewhere; a training only logs them."""
        own_N = self.data.train.label_N[self.split.unlabelled_index]
        if self.data.unlabelled is None:
            return own_N
        other_N = find_hidden_labels(self.data.unlabelled, self.data.train)
        return np.concatenate([other_N, own_N]) if self.config.data.unlabelled_with_train else other_N


def prepare_run(config: RunConfig, data_dir: Path | None = None, *, device: str = "cpu") -> PreparedRun:
    """Load the data, split it and build the network of a run; raise InputError for read-outs that it cannot have."""
    check_readouts(config)
    check_further(config)
    keep_freed_memory()
    reset_peak(device)
    clock = Clock()
    loaded = load_data(config.data, data_dir, canvas=find_canvas(config))
    task = make_task(config, loaded.train)
    check_served(config.evaluation.readouts, task)
    data, split = split_data(loaded, config.data, config.split, task)
    check_targets(task, data, split)
    backbone = make_backbone(config, data.train.n_channels)
    check_kind(config, backbone.takes_rows, data.train)
    clock.lap("load")
    return PreparedRun(config, data, split, backbone.to(device), clock, data_dir)


def prepare_stage(run: PreparedRun, stage: PretrainConfig) -> PreparedRun:
    """Return one stage of a run's pre-training as a run on the same network, with all training sources labelled.

    A stage without ``data`` sees the run's own; other data hold nothing that the run tests or validates on.
    """
    changes: dict[str, Any] = {"objective": stage.objective, "train": stage.train, "joint": None}
    if stage.seed is not None:
        changes["seed"] = stage.seed
    if stage.data is None:
        return replace(run, config=run.config.model_copy(update=changes))
    changes |= {"data": stage.data, "task": stage.task or TaskConfig(), "split": SplitConfig(), "pretrain": None}
    config = run.config.model_copy(update=changes)
    val_ids = run.data.train.source_id_N[run.split.val_index]
    canvas = find_canvas(config)
    data = load_apart(stage.data, run.config.data, run.data, val_ids, run.data_dir, canvas=canvas)
    task = make_task(config, data.train)
    data, split = split_data(data, config.data, config.split, task)
    return PreparedRun(config, data, split, run.backbone, data_dir=run.data_dir)


def find_canvas(config: RunConfig) -> float:
    """Return the side of the widest canvas that the run's augmentations ask for, in sides of the image; 1: none.

    Stages on other data have canvases of their own.
    """
    stages = [stage for stage in config.stages if stage.data is None and stage.encoder is None]
    trainings = [config.train, *(stage.train for stage in stages)]
    made = (create_augmentation(settings.augmentation, **settings.augmentation_params) for settings in trainings)
    return max(augmentation.canvas for augmentation in made)


def make_backbone(config: RunConfig, in_channels: int) -> Backbone:
    """Return the run's network with its initial weights, drawn from the stream ``init``."""
    fields = config.backbone.model_dump()
    params = fields.pop("params")
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(derive_seed(config.seed, "init"))
        return create_backbone(**fields, in_channels=in_channels, image_size=config.data.image_size, **params)
