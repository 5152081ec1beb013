"""Conditional flow matching: a velocity that carries noise to data. Legend: B batch, F latents, K of the condition."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from equirgz.errors import require
from equirgz.objectives.base import Batch, Objective, View


class FlowMatching(Objective):
    """The squared error of a field against straight lines from noise to data (arXiv 2210.02747, 2511.09433).

    ``loss = mean |v(x_t, t, c) - (x1 - x0)|^2`` with x1 the data, x0 ~ N(0, 1), t uniform in [0, 1] and ``x_t =
    (1 - t) x0 + t x1``. A share ``dropout`` of the sources is shown without its condition, so that one field knows
    both. What it is least for is E[x1 - x0 | x_t, c]: of data N(m, s^2) the loss is then s pi / 2 per latent.

    The trainer holds latents as images of 1 x 1 pixel, x_NF11, and conditions as their targets, y_NK. Noise, times and
    dropout are of torch's own generator, which the trainer seeds and its checkpoints hold.

    Parameters
    ----------
    field : ``v(x_BF, t_B, condition_BK, known_B)``, such as
        :class:`~equirgz.objectives.generative.velocity_field.VelocityField`; it stands where other objectives have
        their backbone.
    dropout : share of sources without condition, in [0, 1).
    """

    views = {"data": View("labelled", "none")}
    tasks = None
    needs_labels = False

    def __init__(self, field: nn.Module, dropout: float = 0.15) -> None:
        super().__init__(field, 2)
        require(0 <= dropout < 1, "dropout", expected="a share in [0, 1)", got=dropout)
        self.dropout = dropout

    def training_step(self, batch: Batch, step: int, n_steps: int) -> tuple[Tensor, dict[str, Any]]:
        """Return the loss, per latent; nothing more is logged."""
        x1_BF = batch.view["data"].flatten(1)
        x0_BF, t_B = torch.randn_like(x1_BF), torch.rand(len(x1_BF), device=x1_BF.device, dtype=x1_BF.dtype)
        known_B = (torch.rand_like(t_B) >= self.dropout).to(x1_BF)
        x_BF = torch.lerp(x0_BF, x1_BF, t_B[:, None])
        v_BF = self.backbone(x_BF, t_B, batch.label_B.to(x1_BF), known_B)
        return (v_BF - (x1_BF - x0_BF)).square().mean(), {}
