"""Hybrid pre-training: BYOL on the unlabelled sources, a supervised head on those with labels (arXiv 2206.11927).

Legend: B batch, A answers, K classes.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.errors import InputError, check_choice
from equirgz.objectives.base import OBJECTIVES, Batch, View, make_classifier
from equirgz.objectives.gather import mean_over_processes
from equirgz.objectives.selfsupervised.byol import Byol
from equirgz.objectives.semisupervised.votes import check_votes, compute_votes_loss, concentrations


@OBJECTIVES.register("hybrid")
class Hybrid(Byol):
    """``L = L_byol + w L_sup``, the head reading the backbone's features, not the projection.

    BYOL sees the unlabelled pool; the paper's holds the labelled sources too (``data.unlabelled_with_train``
    in a grid; without an unlabelled set the pool is all training sources).

    Parameters
    ----------
    weight : w; with ``balance="matched"`` w is multiplied by ``|L_byol| / |L_sup|`` of the batch
        (no gradient), so that both parts pull at a fixed ratio, as published.
    questions : None: labels are classes and L_sup is the cross entropy (nat). Else the number of
        answers of each question: labels are votes (N, answers), NaN where missing, and L_sup is the
        Dirichlet-Multinomial nll (nat). ``logits`` are then the log of the expected answers of the
        first question, which must have ``n_classes`` answers.
    dropout : before the head.
    hidden, projection, base_momentum : as in :class:`~equirgz.objectives.selfsupervised.byol.Byol`.
    """

    views = {**Byol.views, "labelled": View("labelled")}
    needs_labels = True

    def __init__(
        self,
        backbone: nn.Module,
        n_classes: int,
        weight: float = 1.0,
        balance: str = "fixed",
        questions: tuple[int, ...] | None = None,
        dropout: float = 0.0,
        hidden: int = 512,
        projection: int = 128,
        base_momentum: float = 0.99,
    ) -> None:
        super().__init__(backbone, n_classes, hidden, projection, base_momentum)
        if questions is not None and (not questions or min(questions) < 2 or questions[0] != n_classes):
            raise InputError("questions", expected=f"numbers of answers >= 2, the first {n_classes}", got=questions)
        self.weight, self.balance = weight, check_choice("balance", balance, ("fixed", "matched"))
        self.questions = None if questions is None else tuple(questions)
        n_outputs = n_classes if questions is None else sum(questions)
        self.classifier = make_classifier(backbone.num_features, n_outputs, dropout)

    def check_labels(self, label_N: Tensor) -> None:
        """Raise InputError unless the labels are classes, or votes where questions are set."""
        if self.questions is None:
            super().check_labels(label_N)
        else:
            check_votes(label_N, self.questions)

    def logits(self, x_BCHW: Tensor) -> Tensor:
        """Return logits_BK; with votes the log of the expected share of each answer to question 0."""
        raw = self.classifier(self.backbone(x_BCHW))
        if self.questions is None:
            return raw
        return torch.log(self._first_concentrations(raw))

    def sample_logits(self, x_BCHW: Tensor, n_samples: int = 1, generator: torch.Generator | None = None) -> Tensor:
        """Return logits_SBK; with votes, logs of draws from the Dirichlet of question 0."""
        raw = self.classifier(self.backbone(x_BCHW))
        if self.questions is None:
            return raw[None]
        concentration_SBK = self._first_concentrations(raw).expand(n_samples, -1, -1)
        gamma_SBK = torch._standard_gamma(concentration_SBK.contiguous(), generator=generator)
        return torch.log(gamma_SBK.clamp_min(torch.finfo(gamma_SBK.dtype).tiny))

    def _first_concentrations(self, raw_BA: Tensor) -> Tensor:
        return concentrations(raw_BA)[:, : self.n_classes]

    def training_step(self, batch: Batch, step: int, n_steps: int) -> tuple[Tensor, dict[str, Any]]:
        """Return the weighted sum; both parts are logged."""
        contrastive, logs = super().training_step(batch, step, n_steps)
        raw = self.classifier(self.backbone(batch.view["labelled"]))
        if self.questions is None:
            supervised = F.cross_entropy(raw, batch.label_B)
        else:
            supervised = compute_votes_loss(batch.label_B, concentrations(raw), self.questions)
        logs |= {"contrastive": contrastive.detach(), "supervised": supervised.detach()}
        return combine(contrastive, supervised, self.weight, self.balance), logs


def combine(contrastive: Tensor, supervised: Tensor, weight: float, balance: str) -> Tensor:
    """Return ``contrastive + weight * supervised``, the second scaled to the first if ``matched``."""
    if balance == "matched":
        scale = mean_over_processes(contrastive).abs() / mean_over_processes(supervised).abs().clamp_min(1e-8)
        return contrastive + weight * scale * supervised
    return contrastive + weight * supervised
