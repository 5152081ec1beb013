"""FixMatch: confident guesses on weak views teach strong views (arXiv 2001.07685, 2204.08816)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.errors import require
from equirgz.objectives.base import OBJECTIVES, Batch, Objective, View
from equirgz.objectives.ema import make_target, update_ema
from equirgz.objectives.gather import gather_rows
from equirgz.objectives.precision import widen
from equirgz.objectives.semisupervised.pseudo_labels import compute_fixmatch_loss
from equirgz.tasks import Task


@OBJECTIVES.register("fixmatch")
class FixMatch(Objective):
    """``CE(labelled) + weight * mean [max p >= threshold] CE(strong, argmax p)``, p of the weak view.

    Labelled and strong views go through the network together; the weak views, which carry no
    gradient, apart from them. ``weak`` views are those of the training augmentation.

    Parameters
    ----------
    threshold : least confidence of a guess that counts.
    ratio : unlabelled sources per batch as a multiple of the batch size (the paper's mu).
    weight : of the unlabelled loss (lambda).
    distribution_alignment : scale p by (class shares of the labels) / (running mean of p) before
        the guess (arXiv 1911.09785).
    ema_momentum : evaluate a running average of the weights; 0 evaluates the weights themselves.
    dropout : before the classifier.
    """

    views = {
        "labelled": View("labelled"),
        "weak": View("unlabelled"),
        "strong": View("unlabelled", "strong"),
    }
    uses_unlabelled = True
    needs_unlabelled = True

    def __init__(
        self,
        backbone: nn.Module,
        task: Task | int,
        threshold: float = 0.95,
        ratio: int = 4,
        weight: float = 1.0,
        distribution_alignment: bool = False,
        ema_momentum: float = 0.99,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(backbone, task)
        require(0 <= threshold <= 1, "threshold", expected="a probability", got=threshold)
        require(0 <= ema_momentum < 1, "ema_momentum", expected="a number in [0, 1)", got=ema_momentum)
        require(ratio >= 1, "ratio", expected="at least 1", got=ratio)
        self.threshold, self.weight, self.ema_momentum = threshold, weight, ema_momentum
        self.unlabelled_ratio = ratio
        self.distribution_alignment = distribution_alignment
        self.classifier = self.head.make_layers(backbone, dropout)
        self.register_buffer("label_share_K", torch.full((self.n_classes,), 1 / self.n_classes))
        self.register_buffer("guess_share_K", torch.full((self.n_classes,), 1 / self.n_classes))
        if ema_momentum:
            self.ema_backbone = make_target(self.backbone)
            self.ema_classifier = make_target(self.classifier)

    def prepare(self, label_N: Tensor | None, n_unlabelled: int) -> None:
        """Take the class shares of the labelled sources."""
        share_K = torch.bincount(label_N.long().cpu(), minlength=self.n_classes) / len(label_N)
        self.label_share_K.copy_(share_K)

    def logits(self, x_BCHW: Tensor) -> Tensor:
        """Return logits_BK of the averaged network in eval mode, of the trained one in train mode."""
        if self.ema_momentum and not self.training:
            return self.ema_classifier(self.ema_backbone(x_BCHW))
        return self.classifier(self.backbone(x_BCHW))

    def after_training(self, x_NCHW: Tensor, label_N: Tensor | None) -> None:
        """Take over the averaged weights, so that features, probes and a saved encoder are of the network evaluated."""
        if self.ema_momentum:
            self.backbone.load_state_dict(self.ema_backbone.state_dict())
            self.classifier.load_state_dict(self.ema_classifier.state_dict())

    def training_step(self, batch: Batch, step: int, n_steps: int) -> tuple[Tensor, dict[str, Any]]:
        """Return the loss (nat); log the share of guesses that count and, with hidden labels, the wrong ones."""
        label_B = batch.label_B
        with torch.no_grad():
            weak_BK = widen(self.classifier(self.backbone(batch.view["weak"]))).softmax(1)
        probability_BK = self.align(weak_BK) if self.distribution_alignment else weak_BK
        both_BK = self.classifier(self.backbone(torch.cat([batch.view["labelled"], batch.view["strong"]])))
        labelled_BK, strong_BK = both_BK.tensor_split([len(label_B)])
        supervised = F.cross_entropy(labelled_BK, label_B)
        unlabelled, mask_B = compute_fixmatch_loss(strong_BK, probability_BK, self.threshold)
        logs = {
            "supervised": supervised.detach(),
            "unlabelled": unlabelled.detach(),
            "mask_rate": mask_B.float().mean(),
        }
        logs |= measure_impurity(probability_BK, mask_B, batch.hidden_label_B)
        return supervised + self.weight * unlabelled, logs

    def align(self, probability_BK: Tensor) -> Tensor:
        """Return ``p * label share / running mean of p``, normalised, and move the running mean."""
        self.guess_share_K.lerp_(gather_rows(probability_BK).mean(0), 0.05)
        aligned_BK = probability_BK * (self.label_share_K / self.guess_share_K.clamp_min(1e-6))
        return aligned_BK / aligned_BK.sum(1, keepdim=True)

    def after_step(self, step: int, n_steps: int) -> None:
        """Move the averaged network, faster at first: momentum min(ema_momentum, (t + 1) / (t + 10))."""
        if self.ema_momentum:
            momentum = min(self.ema_momentum, (step + 1) / (step + 10))
            update_ema(self.ema_backbone, self.backbone, momentum)
            update_ema(self.ema_classifier, self.classifier, momentum)


def measure_impurity(probability_BK: Tensor, mask_B: Tensor, hidden_label_B: Tensor | None) -> dict[str, Tensor]:
    """Return ``impurity``: wrong guesses among those that count, where the labels happen to be known."""
    if hidden_label_B is None:
        return {}
    known_B = mask_B & (hidden_label_B >= 0)
    wrong_B = known_B & (probability_BK.argmax(1) != hidden_label_B)
    return {"impurity": wrong_B.sum() / known_B.sum()} if bool(known_B.any()) else {}
