"""What SimCLR and VICReg share: two views, one network, one projector. Legend: B batch, P projection, F features."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from equirgz.objectives.base import Batch, Objective, View
from equirgz.objectives.gather import gather_rows
from equirgz.objectives.selfsupervised.collapse import compute_collapse_meters


class TwoView(Objective):
    """Abstract: compares the projections of two views of each unlabelled source.

    Subclasses set ``projector`` and define :meth:`compare`, which sees the rows of all processes.
    """

    views = {"unlabelled_1": View("unlabelled"), "unlabelled_2": View("unlabelled")}
    tasks = None
    needs_labels = False
    uses_unlabelled = True
    watches_rank = True
    projector: nn.Module

    def compare(self, z1_BP: Tensor, z2_BP: Tensor) -> tuple[Tensor, dict[str, Any]]:
        """Return the loss of two projections of the same sources, and its parts to log."""
        raise NotImplementedError

    def training_step(self, batch: Batch, step: int, n_steps: int) -> tuple[Tensor, dict[str, Any]]:
        """Return the loss and, now and then, the collapse meters of the first view."""
        h1_BF, h2_BF = (self.backbone(batch.view[role]) for role in self.views)
        z1_BP, z2_BP = (gather_rows(self.projector(h_BF)) for h_BF in (h1_BF, h2_BF))
        loss, logs = self.compare(z1_BP, z2_BP)
        if self.log_now(step, n_steps):
            logs = logs | compute_collapse_meters(z1_BP.detach(), h1_BF.detach())
        return loss, logs
