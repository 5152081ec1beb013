"""SimCLR: tell a source's other view from all other sources (arXiv 2002.05709)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from equirgz.errors import require
from equirgz.objectives.base import OBJECTIVES, make_mlp
from equirgz.objectives.selfsupervised.two_view import TwoView
from equirgz.objectives.selfsupervised.view_losses import compute_nt_xent
from equirgz.tasks import Task


@OBJECTIVES.register("simclr")
class SimClr(TwoView):
    """NT-Xent between two views, with all other sources of the batch as negatives.

    Parameters
    ----------
    hidden, projection : widths of the projector.
    temperature : T of :func:`~equirgz.objectives.selfsupervised.view_losses.compute_nt_xent`.
    """

    def __init__(
        self,
        backbone: nn.Module,
        task: Task | int = 2,
        hidden: int = 512,
        projection: int = 128,
        temperature: float = 0.2,
    ) -> None:
        super().__init__(backbone, task)
        require(temperature > 0, "temperature", expected="a positive number", got=temperature)
        self.temperature = temperature
        self.projector = make_mlp(backbone.num_features, hidden, projection)

    def compare(self, z1_BP: Tensor, z2_BP: Tensor) -> tuple[Tensor, dict[str, Any]]:
        return compute_nt_xent(z1_BP, z2_BP, self.temperature), {}
