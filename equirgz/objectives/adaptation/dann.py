"""DANN: features from which a second network cannot tell the domain (arXiv 1505.07818). Legend: B batch, L latent."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.objectives.adaptation.alignment import FixedWeight
from equirgz.objectives.base import OBJECTIVES
from equirgz.tasks import Task


class _ReverseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return z.view_as(z)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradient, None


def reverse_gradient(z: Tensor, strength: float) -> Tensor:
    """Return ``z``; on the way back gradients are multiplied by ``-strength``."""
    return _ReverseGradient.apply(z, strength)


@OBJECTIVES.register("dann")
class Dann(FixedWeight):
    """``CE + weight * D``: D, the cross entropy (nat) of a network that tells the domains apart, whose
    gradient is reversed before the latent (arXiv 1505.07818).

    The reversal grows as ``2 / (1 + exp(-10 p)) - 1`` with p the share of adaptation done.

    Parameters
    ----------
    hidden : units of the hidden layer of the network that tells the domains apart.
    """

    def __init__(
        self,
        backbone: nn.Module,
        task: Task | int,
        weight: float = 1.0,
        latent: int = 64,
        warmup_share: float = 0.6,
        hidden: int = 128,
    ) -> None:
        super().__init__(backbone, task, weight, latent, warmup_share)
        self.domain_classifier = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def align(self, x_BL: Tensor, y_BL: Tensor, progress: float) -> tuple[Tensor, dict[str, Any]]:
        strength = 2 / (1 + math.exp(-10 * progress)) - 1
        latent_ML = reverse_gradient(torch.cat([x_BL, y_BL]), strength)
        domain_M = torch.cat([torch.zeros(len(x_BL)), torch.ones(len(y_BL))]).to(latent_ML)
        logit_M = self.domain_classifier(latent_ML)[:, 0]
        told_apart = ((logit_M > 0) == (domain_M > 0.5)).float().mean()
        loss = F.binary_cross_entropy_with_logits(logit_M, domain_M)
        return loss, {"domain_accuracy": told_apart, "reversal": strength}
