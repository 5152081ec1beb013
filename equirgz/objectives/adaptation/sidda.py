"""SIDDA: a Sinkhorn divergence whose weight is learnt (arXiv 2501.14048). Legend: B batch, L latent."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from equirgz.objectives.adaptation.alignment import DomainAdaptation
from equirgz.objectives.adaptation.alignment_losses import compute_dynamic_blur, compute_sinkhorn_loss
from equirgz.objectives.base import OBJECTIVES
from equirgz.tasks import Task


@OBJECTIVES.register("sidda")
class Sidda(DomainAdaptation):
    """``L = CE / (2 a^2) + S / (2 b^2) + log|a b|`` with trainable a, b (arXiv 2501.14048, eq. 6).

    S is the debiased Sinkhorn divergence with dynamic blur, 0.05 of the largest distance between a
    source and a target latent of the batch, at least 0.01. Before each update a >= 0.001 and
    b >= 0.25 a are restored; a and b start at 1 and do not decay.
    """

    no_weight_decay = frozenset({"eta_supervised", "eta_alignment"})

    def __init__(self, backbone: nn.Module, task: Task | int, latent: int = 64, warmup_share: float = 0.6) -> None:
        super().__init__(backbone, task, latent, warmup_share)
        self.eta_supervised = nn.Parameter(torch.ones(()))
        self.eta_alignment = nn.Parameter(torch.ones(()))

    def align(self, x_BL: Tensor, y_BL: Tensor, progress: float) -> tuple[Tensor, dict[str, Any]]:
        blur = compute_dynamic_blur(x_BL, y_BL)
        etas = {"eta_supervised": self.eta_supervised.detach(), "eta_alignment": self.eta_alignment.detach()}
        return compute_sinkhorn_loss(x_BL, y_BL, blur), {"blur": blur} | etas

    def combine(self, supervised: Tensor, alignment: Tensor, progress: float) -> Tensor:
        a, b = self.eta_supervised, self.eta_alignment
        return supervised / (2 * a**2) + alignment / (2 * b**2) + torch.log((a * b).abs())

    @torch.no_grad()
    def after_step(self, step: int, n_steps: int) -> None:
        """Restore a >= 0.001 and b >= 0.25 a."""
        self.eta_supervised.clamp_(min=1e-3)
        self.eta_alignment.copy_(torch.maximum(self.eta_alignment, 0.25 * self.eta_supervised))
