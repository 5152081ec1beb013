"""What every head is, and the table of heads by task. Legend: B batch, F features, O outputs, H W pixels, N sources."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from equirgz.errors import InputError
from equirgz.objectives.gather import mean_count
from equirgz.objectives.heads.maps import MapLayers
from equirgz.registry import Registry, call_checked
from equirgz.tasks import Task


class Head(nn.Module, ABC):
    """Abstract: what raw outputs (B, O), or (B, O, H, W) of a dense task, mean for one task.

    A head holds buffers at most (scales learnt from the training set). The layers that :meth:`make_layers` returns
    belong to the objective, which may draw, average or freeze their weights.
    """

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task

    @property
    def n_raw(self) -> int:
        """How many raw outputs there are, per source or pixel; by default those of the task."""
        return self.task.n_outputs

    def make_layers(self, backbone: nn.Module, dropout: float = 0.0) -> nn.Module:
        """Return the layers that map what :meth:`encode` gives to raw outputs."""
        if self.task.dense:
            return MapLayers(backbone, self.n_raw, dropout, what=f"task {self.task.name!r}")
        return make_classifier(backbone.num_features, self.n_raw, dropout)

    def encode(self, backbone: nn.Module, x_BCHW: Tensor) -> Tensor:
        """Return what the layers read of images: features h_BF, or maps (B, fields, |G|, H', W') of a dense task."""
        return backbone.forward_maps(x_BCHW) if self.task.dense else backbone(x_BCHW)

    def learn(self, target_N: np.ndarray) -> None:
        """Take from the training targets what the loss needs; nothing by default."""

    @abstractmethod
    def loss(self, raw_B: Tensor, target_B: Tensor) -> Tensor:
        """Return the mean loss over all that is not missing in ``target_B``; 0 where everything is."""

    def answer(self, raw_B: Tensor) -> Tensor:
        """Return outputs whose mean over networks and views has a meaning; ``task.decode`` makes answers of it."""
        return raw_B

    def measure(self, raw_B: Tensor, target_B: Tensor) -> dict[str, Tensor]:
        """Return numbers to log beside the loss."""
        return {}


HEADS: Registry[Callable[..., Head]] = Registry(
    "head",
    tuple(
        f"equirgz.objectives.heads.{name}"
        for name in ("classification", "votes", "numbers", "shares", "pixel_votes", "denoising", "several")
    ),
)


def create_head(task: Task, **options: Any) -> Head:
    """Return the head registered under the name of ``task``; InputError for options that it does not have."""
    return call_checked(f"task {task.name!r}", HEADS.get(task.name), task, **options)


def make_classifier(n_features: int, n_outputs: int, dropout: float = 0.0) -> nn.Module:
    """Return dropout (if any) and a linear layer from h_BF to logits_BK, or other raw outputs."""
    if not 0 <= dropout < 1:
        raise InputError("dropout", expected="a share in [0, 1)", got=dropout)
    linear = nn.Linear(n_features, n_outputs)
    return nn.Sequential(nn.Dropout(dropout), linear) if dropout else linear


def mean_of_known(loss: Tensor, known: Tensor) -> Tensor:
    """Return the mean of ``loss`` where ``known``, 0 where nothing is; no gradient reaches what is missing.

    Over several processes it is the share of this one: their mean is the loss of all.
    """
    total = torch.where(known, loss, torch.zeros_like(loss)).sum()
    return total / mean_count(known, loss.dtype)
