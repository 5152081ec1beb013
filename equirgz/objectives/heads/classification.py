"""Logits of classes. Legend: B batch, K classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from equirgz.errors import require
from equirgz.objectives.heads.base import HEADS, Head
from equirgz.tasks import Task


@HEADS.register("classification")
class ClassificationHead(Head):
    """Cross entropy (nat) on logits, never on probabilities; answers are their softmax.

    ``label_smoothing`` is the share of the target spread evenly over all classes, in [0, 1).
    """

    def __init__(self, task: Task, label_smoothing: float = 0.0) -> None:
        super().__init__(task)
        require(0 <= label_smoothing < 1, "label_smoothing", expected="a share in [0, 1)", got=label_smoothing)
        self.label_smoothing = label_smoothing

    def loss(self, raw_B: Tensor, target_B: Tensor) -> Tensor:
        return F.cross_entropy(raw_B, target_B, label_smoothing=self.label_smoothing)

    def answer(self, raw_B: Tensor) -> Tensor:
        return torch.softmax(raw_B, -1)

    def measure(self, raw_B: Tensor, target_B: Tensor) -> dict[str, Tensor]:
        """Return the share of wrong classes."""
        return {"train_error": (raw_B.detach().argmax(1) != target_B).float().mean()}
