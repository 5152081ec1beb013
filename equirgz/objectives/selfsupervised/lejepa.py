"""LeJEPA: views agree while projections follow a standard Gaussian (arXiv 2511.08544)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from equirgz.errors import require
from equirgz.objectives.base import OBJECTIVES, Batch, make_mlp
from equirgz.objectives.selfsupervised.gaussian_sketch import compute_sigreg
from equirgz.objectives.selfsupervised.two_view import TwoView
from equirgz.tasks import Task


@OBJECTIVES.register("lejepa")
class LeJepa(TwoView):
    """``(1 - weight) agreement + weight SIGReg``: no teacher, no negatives, no stopped gradient, one number to set.

    Agreement is the mean squared distance of each view's projection from the mean of both; SIGReg
    (:func:`~equirgz.objectives.selfsupervised.gaussian_sketch.compute_sigreg`) is averaged over the views. Its
    directions are drawn anew for every update, the same ones whenever that update is computed.

    Parameters
    ----------
    hidden, projection : widths of the projector.
    weight : lambda of the paper, between 0 and 1.
    n_directions : random directions per update.
    """

    collapse_mend = "raise weight or batch_size, or lower the learning rate"

    def __init__(
        self,
        backbone: nn.Module,
        task: Task | int = 2,
        hidden: int = 512,
        projection: int = 64,
        weight: float = 0.05,
        n_directions: int = 256,
    ) -> None:
        super().__init__(backbone, task)
        require(0 < weight < 1, "weight", expected="a number between 0 and 1", got=weight)
        require(n_directions >= 1, "n_directions", expected="at least 1", got=n_directions)
        self.weight, self.n_directions = weight, n_directions
        self.projector = make_mlp(backbone.num_features, hidden, projection)
        self._step = 0

    def training_step(self, batch: Batch, step: int, n_steps: int) -> tuple[Tensor, dict[str, Any]]:
        """Return the loss and its parts; the directions are those of ``step``."""
        self._step = step
        return super().training_step(batch, step, n_steps)

    def compare(self, z1_BP: Tensor, z2_BP: Tensor) -> tuple[Tensor, dict[str, Any]]:
        agreement = (z1_BP - z2_BP).square().mean() / 4
        sketches = [compute_sigreg(z_BP, self.n_directions, seed=self._step) for z_BP in (z1_BP, z2_BP)]
        gaussian = (sketches[0] + sketches[1]) / 2
        loss = (1 - self.weight) * agreement + self.weight * gaussian
        return loss, {"agreement": agreement.detach(), "gaussian": gaussian.detach()}
