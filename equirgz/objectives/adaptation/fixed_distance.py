"""A distance between the domains at a weight that is given: Sinkhorn or MMD. Legend: B batch, L latent."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from equirgz.objectives.adaptation.alignment import FixedWeight
from equirgz.objectives.adaptation.alignment_losses import compute_dynamic_blur, compute_mmd_loss, compute_sinkhorn_loss
from equirgz.objectives.base import OBJECTIVES


@OBJECTIVES.register("sinkhorn")
class SinkhornAdaptation(FixedWeight):
    """``CE + weight * S``, S the Sinkhorn divergence (arXiv 1810.08278) of
    :class:`~equirgz.objectives.adaptation.sidda.Sidda`, whose trainable weights are compared with this."""

    def align(self, x_BL: Tensor, y_BL: Tensor, progress: float) -> tuple[Tensor, dict[str, Any]]:
        blur = compute_dynamic_blur(x_BL, y_BL)
        return compute_sinkhorn_loss(x_BL, y_BL, blur), {"blur": blur}


@OBJECTIVES.register("mmd")
class MmdAdaptation(FixedWeight):
    """``CE + weight * MMD^2`` with five Gaussian kernels (arXiv 1502.02791 in one layer)."""

    def align(self, x_BL: Tensor, y_BL: Tensor, progress: float) -> tuple[Tensor, dict[str, Any]]:
        return compute_mmd_loss(x_BL, y_BL), {}
