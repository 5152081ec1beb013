"""Supervised classification: cross entropy on a linear head; fine-tuning is this with layer decay."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.errors import require
from equirgz.objectives.base import OBJECTIVES, Batch, Objective, make_classifier


@OBJECTIVES.register("supervised")
class Supervised(Objective):
    """Cross entropy of ``classifier(backbone(x))``, on logits (never on probabilities).

    Parameters
    ----------
    label_smoothing : share of the target spread evenly over all classes, in [0, 1).
    dropout : share of features dropped before the classifier, in training only.
    freeze_backbone : keep the backbone's weights and its BatchNorm buffers as they are; it stays in
        eval mode, so that only the classifier learns. Its ``requires_grad`` is left alone: a later
        training trains it.
    """

    def __init__(
        self,
        backbone: nn.Module,
        n_classes: int,
        label_smoothing: float = 0.0,
        dropout: float = 0.0,
        freeze_backbone: bool = False,
    ) -> None:
        super().__init__(backbone, n_classes)
        require(0 <= label_smoothing < 1, "label_smoothing", expected="a share in [0, 1)", got=label_smoothing)
        self.label_smoothing = label_smoothing
        self.freeze_backbone = freeze_backbone
        self.classifier = make_classifier(backbone.num_features, n_classes, dropout)

    def frozen_parts(self) -> list[nn.Module]:
        return [self.backbone] if self.freeze_backbone else []

    def logits(self, x_BCHW: Tensor) -> Tensor:
        """Return logits_BK; in training no gradient reaches a frozen backbone."""
        if self.training and self.freeze_backbone:
            with torch.no_grad():
                h_BF = self.backbone(x_BCHW)
            return self.classifier(h_BF)
        return self.classifier(self.backbone(x_BCHW))

    def training_step(self, batch: Batch, step: int, n_steps: int) -> tuple[Tensor, dict[str, Any]]:
        """Return the mean cross entropy (nat) of the labelled view, and the share of wrong ones."""
        logits_BK = self.logits(batch.view["labelled"])
        loss = F.cross_entropy(logits_BK, batch.label_B, label_smoothing=self.label_smoothing)
        wrong = (logits_BK.detach().argmax(1) != batch.label_B).float().mean()
        return loss, {"train_error": wrong}
