"""Denoising score matching: the gradient of the log density of noisy images.

Legend: B batch, C channels, H W pixels.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from equirgz.objectives.base import Batch, Objective, View
from equirgz.objectives.generative.noise_schedules import make_schedule
from equirgz.objectives.heads.maps import ScoreNetwork


class ScoreMatching(Objective):
    """The squared error of the noise that a score implies (arXiv 1907.05600, 2011.13456).

    ``loss = mean |s score(x + s n, s) + n|^2`` with n ~ N(0, 1) and s the level, sigma / mean, of the ``schedule`` at a
    time uniform in [0, 1]. What it is least for is the score of the images with noise s: of images N(m, d^2) the loss
    at s is then ``d^2 / (d^2 + s^2)``. Variance-preserving images are those of the same level times
    ``1 / sqrt(1 + s^2)``, which the network takes anyway, so that the schedules differ in the levels that they learn.

    Images are shown with the training's augmentation, without labels; their scale should be about 1. Noise is of
    torch's own generator, which the trainer seeds and its checkpoints hold. ``score`` is the trained
    :class:`~equirgz.objectives.heads.maps.ScoreNetwork`.

    Parameters
    ----------
    schedule, low, high : "ve", levels from ``low`` to ``high`` evenly in their logarithm, or "vp", with these its
        rates at both ends; None: the schedule's own.
    """

    views = {"image": View("labelled")}
    tasks = None
    needs_labels = False

    def __init__(
        self,
        backbone: nn.Module,
        schedule: Literal["ve", "vp"] = "ve",
        low: float | None = None,
        high: float | None = None,
    ) -> None:
        super().__init__(backbone, 2)
        given = {name: value for name, value in (("low", low), ("high", high)) if value is not None}
        self.schedule = make_schedule(schedule, **given)
        self.score = ScoreNetwork(backbone)

    def training_step(self, batch: Batch, step: int, n_steps: int) -> tuple[Tensor, dict[str, Any]]:
        """Return the loss, per pixel; nothing more is logged."""
        x_BCHW = batch.view["image"]
        t_B = torch.rand(len(x_BCHW), device=x_BCHW.device, dtype=x_BCHW.dtype).clamp_min(1e-3)
        level_B, noise_BCHW = self.schedule.level(t_B), torch.randn_like(x_BCHW)
        level_B111 = level_B[:, None, None, None]
        score_BCHW = self.score(x_BCHW + level_B111 * noise_BCHW, level_B)
        return (level_B111 * score_BCHW + noise_BCHW).square().mean(), {}
