"""BYOL: predict a slowly moving copy's projection of another view (arXiv 2006.07733)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from equirgz.objectives.base import OBJECTIVES, Batch, Objective, View, make_mlp
from equirgz.objectives.ema import cosine_momentum, make_target, update_ema
from equirgz.objectives.frozen import copy_modes
from equirgz.objectives.selfsupervised.collapse import compute_collapse_meters
from equirgz.objectives.selfsupervised.view_losses import compute_byol_loss
from equirgz.tasks import Task


@OBJECTIVES.register("byol")
class Byol(Objective):
    """Symmetric BYOL: ``L = [l(q(z1), t2) + l(q(z2), t1)] / 2`` with ``l = 2 - 2 cos``.

    z is the online projection, q the predictor and t the target network's projection. After each
    update the target moves by an EMA whose momentum rises from ``base_momentum`` to 1 on a cosine.

    The target runs in train mode: its BatchNorm layers normalise by the batch, as the paper's do.
    In eval mode its first projections, seen through running statistics not yet settled, would be
    almost constant, and a constant target teaches collapse. Its buffers follow its own activations
    and are averaged with the online network's, so that the target can also be evaluated.

    Parameters
    ----------
    hidden, projection : widths of the projector's and predictor's hidden and output layers.
    base_momentum : EMA momentum at the first update; the paper's 0.996 suits 10^6 updates, the
        default suits 10^3 to 10^4.
    """

    views = {"unlabelled_1": View("unlabelled"), "unlabelled_2": View("unlabelled")}
    tasks = None
    needs_labels = False
    uses_unlabelled = True
    watches_rank = True

    def __init__(
        self,
        backbone: nn.Module,
        task: Task | int = 2,
        hidden: int = 512,
        projection: int = 128,
        base_momentum: float = 0.99,
    ) -> None:
        super().__init__(backbone, task)
        cosine_momentum(base_momentum, 0, 1)
        self.base_momentum = base_momentum
        self.projector = make_mlp(backbone.num_features, hidden, projection)
        self.predictor = make_mlp(projection, hidden, projection)
        self.target_backbone = make_target(self.backbone)
        self.target_projector = make_target(self.projector)

    def train(self, mode: bool = True) -> Byol:
        """Set the mode; the target rests where the online network is frozen, and nowhere else."""
        super().train(mode)
        copy_modes(self.target_backbone, self.backbone)
        copy_modes(self.target_projector, self.projector)
        return self

    def training_step(self, batch: Batch, step: int, n_steps: int) -> tuple[Tensor, dict[str, Any]]:
        """Return the symmetric loss in [0, 4] and, now and then, the collapse meters."""
        x1_BCHW, x2_BCHW = (batch.view[role] for role in Byol.views)
        h1_BF = self.backbone(x1_BCHW)
        z1_BP = self.projector(h1_BF)
        z2_BP = self.projector(self.backbone(x2_BCHW))
        with torch.no_grad():
            t1_BP = self.target_projector(self.target_backbone(x1_BCHW))
            t2_BP = self.target_projector(self.target_backbone(x2_BCHW))
        loss = 0.5 * compute_byol_loss(self.predictor(z1_BP), t2_BP)
        loss = loss + 0.5 * compute_byol_loss(self.predictor(z2_BP), t1_BP)
        logs = compute_collapse_meters(z1_BP.detach(), h1_BF.detach()) if self.log_now(step, n_steps) else {}
        return loss, logs

    @torch.no_grad()
    def after_step(self, step: int, n_steps: int) -> None:
        """Move the target towards the online network."""
        momentum = cosine_momentum(self.base_momentum, step, n_steps)
        update_ema(self.target_backbone, self.backbone, momentum)
        update_ema(self.target_projector, self.projector, momentum)
