"""Supervised training: the task's loss, for classes cross entropy; fine-tuning is this with layer decay."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from equirgz.objectives.base import OBJECTIVES, Batch, Objective
from equirgz.objectives.heads.base import create_head
from equirgz.tasks import Task


@OBJECTIVES.register("supervised")
class Supervised(Objective):
    """The task's loss of ``classifier(backbone(x))``: for classes cross entropy, on logits (never on probabilities).

    Parameters
    ----------
    label_smoothing : share of the target spread evenly over all classes, in [0, 1); of a classification alone.
    dropout : share of features dropped before the classifier, in training only.
    freeze_backbone : keep the backbone's weights and its BatchNorm buffers as they are; it stays in
        eval mode, so that only the classifier learns. Its ``requires_grad`` is left alone: a later
        training trains it.
    """

    tasks = None

    def __init__(
        self,
        backbone: nn.Module,
        task: Task | int,
        label_smoothing: float = 0.0,
        dropout: float = 0.0,
        freeze_backbone: bool = False,
    ) -> None:
        super().__init__(backbone, task)
        self.head = create_head(self.task, **({"label_smoothing": label_smoothing} if label_smoothing else {}))
        self.label_smoothing = label_smoothing
        self.freeze_backbone = freeze_backbone
        self.classifier = self.head.make_layers(backbone, dropout)

    def frozen_parts(self) -> list[nn.Module]:
        return [self.backbone] if self.freeze_backbone else []

    def logits(self, x_BCHW: Tensor) -> Tensor:
        """Return raw outputs, logits_BK; in training no gradient reaches a frozen backbone."""
        if self.training and self.freeze_backbone:
            with torch.no_grad():
                encoded_B = self.head.encode(self.backbone, x_BCHW)
            return self.classifier(encoded_B)
        return self.classifier(self.head.encode(self.backbone, x_BCHW))

    def training_step(self, batch: Batch, step: int, n_steps: int) -> tuple[Tensor, dict[str, Any]]:
        """Return the task's loss of the labelled view (mean cross entropy, nat), and what the head logs."""
        raw_B = self.logits(batch.view["labelled"])
        return self.head.loss(raw_B, batch.label_B), self.head.measure(raw_B, batch.label_B)
