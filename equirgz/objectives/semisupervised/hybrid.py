"""Hybrid pre-training: BYOL on the unlabelled sources, a supervised head on those with labels (arXiv 2206.11927).

Legend: B batch, A answers, K classes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from equirgz.errors import InputError, check_choice
from equirgz.objectives.base import OBJECTIVES, Batch, View
from equirgz.objectives.gather import mean_over_processes
from equirgz.objectives.heads.base import create_head
from equirgz.objectives.heads.votes import concentrations
from equirgz.objectives.selfsupervised.byol import Byol
from equirgz.tasks import Task
from equirgz.tasks.votes import Votes


@OBJECTIVES.register("hybrid")
class Hybrid(Byol):
    """``L = L_byol + w L_sup``, the head reading the backbone's features, not the projection.

    BYOL sees the unlabelled pool; the paper's holds the labelled sources too (``data.unlabelled_with_train``
    in a grid; without an unlabelled set the pool is all training sources).

    Parameters
    ----------
    weight : w.
    balance : "fixed", or "matched": w is multiplied by ``|L_byol| / |L_sup|`` of the batch
        (no gradient), so that both parts pull at a fixed ratio, as published.
    questions : None: L_sup is the loss of the task. Else, of a classification, the number of answers of each
        question: the labels are votes (N, answers), NaN where missing, and L_sup is the Dirichlet-Multinomial nll
        (nat). ``logits`` are then the log of the expected answers of the first question, which must be the classes.
        The task votes asks all questions at the end too.
    dropout : before the head.
    hidden, projection, base_momentum : as in :class:`~equirgz.objectives.selfsupervised.byol.Byol`.
    """

    views = {**Byol.views, "labelled": View("labelled")}
    needs_labels = True
    watches_rank = False

    def __init__(
        self,
        backbone: nn.Module,
        task: Task | int,
        weight: float = 1.0,
        balance: str = "fixed",
        questions: tuple[int, ...] | None = None,
        dropout: float = 0.0,
        hidden: int = 512,
        projection: int = 128,
        base_momentum: float = 0.99,
    ) -> None:
        super().__init__(backbone, task, hidden, projection, base_momentum)
        asked = None if questions is None else tuple(questions)
        classes = ("classification", self.n_classes)
        if asked is not None and (not asked or min(asked) < 2 or (self.task.name, asked[0]) != classes):
            expected = f"numbers of answers >= 2, the first the {self.n_classes} classes of a classification"
            raise InputError("questions", expected=expected, got=f"{questions} of the task {self.task.name}")
        self.weight, self.balance = weight, check_choice("balance", balance, ("fixed", "matched"))
        self.questions = asked
        self.target_head = self.head if asked is None else create_head(Votes(asked))
        self.classifier = self.target_head.make_layers(backbone, dropout)

    @property
    def target_task(self) -> Task:
        return self.target_head.task

    def logits(self, x_BCHW: Tensor) -> Tensor:
        """Return raw outputs, logits_BK; with ``questions`` the log of the expected shares of the first."""
        raw_B = self.classifier(self.head.encode(self.backbone, x_BCHW))
        return raw_B if self.questions is None else torch.log(self._first_concentrations(raw_B))

    def sample_logits(self, x_BCHW: Tensor, n_samples: int = 1, generator: torch.Generator | None = None) -> Tensor:
        """Return logits_SBK; with ``questions``, logs of draws from the Dirichlet of the first."""
        if self.questions is None:
            return self.logits(x_BCHW)[None]
        concentration_BK = self._first_concentrations(self.classifier(self.backbone(x_BCHW)))
        concentration_SBK = concentration_BK.expand(n_samples, -1, -1)
        gamma_SBK = torch._standard_gamma(concentration_SBK.contiguous(), generator=generator)
        return torch.log(gamma_SBK.clamp_min(torch.finfo(gamma_SBK.dtype).tiny))

    def _first_concentrations(self, raw_BA: Tensor) -> Tensor:
        return concentrations(raw_BA)[:, : self.n_classes]

    def training_step(self, batch: Batch, step: int, n_steps: int) -> tuple[Tensor, dict[str, Any]]:
        """Return the weighted sum; both parts are logged."""
        contrastive, logs = super().training_step(batch, step, n_steps)
        raw_B = self.classifier(self.head.encode(self.backbone, batch.view["labelled"]))
        supervised = self.target_head.loss(raw_B, batch.label_B)
        logs |= {"contrastive": contrastive.detach(), "supervised": supervised.detach()}
        return combine(contrastive, supervised, self.weight, self.balance), logs


def combine(contrastive: Tensor, supervised: Tensor, weight: float, balance: str) -> Tensor:
    """Return ``contrastive + weight * supervised``, the second scaled to the first if ``matched``."""
    if balance == "matched":
        scale = mean_over_processes(contrastive).abs() / mean_over_processes(supervised).abs().clamp_min(1e-8)
        return contrastive + weight * scale * supervised
    return contrastive + weight * supervised
