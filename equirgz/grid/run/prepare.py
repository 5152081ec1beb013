"""What a run has before its training: its sources, who of them trains and who tests, and its network."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from equirgz.backbones import Backbone, create_backbone
from equirgz.config import RunConfig
from equirgz.data import Data, ImageSet, Split, load_data, split_data
from equirgz.data.splits.hidden_labels import find_hidden_labels
from equirgz.grid.run.readouts import check_readouts
from equirgz.grid.run.resources import Clock, reset_peak
from equirgz.seeding import derive_seed
from equirgz.train.memory import keep_freed_memory


@dataclass(frozen=True)
class PreparedRun:
    """Data, split and network of a run; a training changes the network's weights in place."""

    config: RunConfig
    data: Data
    split: Split
    backbone: Backbone
    clock: Clock = field(default_factory=Clock)

    @cached_property
    def labelled(self) -> ImageSet:
        """The labelled training sources."""
        return self.data.train.subset(self.split.train_index)

    @cached_property
    def eval_sets(self) -> dict[str, ImageSet]:
        """The sets that answers are measured on: every test set, and ``val`` where there is one."""
        classes = self.data.train.class_names
        sets = {
            name: images if images.class_names == classes else images.without_labels()  # other classes: no score
            for name, images in self.data.tests.items()
        }
        if len(self.split.val_index):
            sets["val"] = self.data.train.subset(self.split.val_index)
        return sets

    @property
    def n_classes(self) -> int:
        return self.data.train.n_classes

    @property
    def pool_NCHW(self) -> np.ndarray:
        """Images without labels: the configured set, all training sources outside validation, or both."""
        own_NCHW = self.data.train.subset(self.split.unlabelled_index).x_NCHW
        if self.data.unlabelled is None:
            return own_NCHW
        other_NCHW = self.data.unlabelled.x_NCHW
        return np.concatenate([other_NCHW, own_NCHW]) if self.config.data.unlabelled_with_train else other_NCHW

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
    keep_freed_memory()
    reset_peak(device)
    clock = Clock()
    data, split = split_data(load_data(config.data, data_dir), config.data, config.split)
    backbone = make_backbone(config, data.train.n_channels)
    clock.lap("load")
    return PreparedRun(config, data, split, backbone.to(device), clock)


def make_backbone(config: RunConfig, in_channels: int) -> Backbone:
    """Return the run's network with its initial weights, drawn from the stream ``init``."""
    fields = config.backbone.model_dump()
    params = fields.pop("params")
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(derive_seed(config.seed, "init"))
        return create_backbone(**fields, in_channels=in_channels, image_size=config.data.image_size, **params)
