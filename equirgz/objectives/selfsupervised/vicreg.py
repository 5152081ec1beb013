"""VICReg: equal views, spread-out and uncorrelated components (arXiv 2105.04906)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from equirgz.objectives.base import OBJECTIVES, make_mlp
from equirgz.objectives.selfsupervised.two_view import TwoView
from equirgz.objectives.selfsupervised.view_losses import compute_vicreg_terms
from equirgz.tasks import Task


@OBJECTIVES.register("vicreg")
class VicReg(TwoView):
    """``invariance * i + variance * v + covariance * c`` of the terms in ``compute_vicreg_terms``.

    Parameters
    ----------
    hidden, projection : widths of the expander.
    invariance, variance, covariance : weights; the paper's 25, 25 and 1.
    """

    def __init__(
        self,
        backbone: nn.Module,
        task: Task | int = 2,
        hidden: int = 512,
        projection: int = 256,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
    ) -> None:
        super().__init__(backbone, task)
        self.weights = (invariance, variance, covariance)
        self.projector = make_mlp(backbone.num_features, hidden, projection)

    def compare(self, z1_BP: Tensor, z2_BP: Tensor) -> tuple[Tensor, dict[str, Any]]:
        terms = compute_vicreg_terms(z1_BP, z2_BP)
        loss = sum(weight * term for weight, term in zip(self.weights, terms, strict=True))
        names = ("invariance", "variance", "covariance")
        return loss, {name: term.detach() for name, term in zip(names, terms, strict=True)}
