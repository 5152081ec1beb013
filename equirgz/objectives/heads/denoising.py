"""Noise estimated in noisy images: denoising score matching as the loss of a task.

Legend: B batch, C channels, L noise levels, F fields, G group elements, H W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equirgz.objectives.generative.noise_schedules import make_schedule
from equirgz.objectives.heads.base import HEADS, Head
from equirgz.objectives.heads.maps import MapLayers, ScoreNetwork, check_conditioned, estimate_noise
from equirgz.objectives.precision import widen
from equirgz.tasks.denoising import Denoising


class NoiseErrorLayers(MapLayers):
    """Map layers that estimate noise, and give sqrt(1 + s^2) times the true noise less the estimate, (B, L, H, W)."""

    def forward(self, encoded: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        maps_NFGHW, z_BLHW, level_BL11, noise_BLHW = encoded
        raw_BLHW = super().forward(maps_NFGHW).reshape(noise_BLHW.shape)
        return (noise_BLHW - estimate_noise(raw_BLHW, z_BLHW, level_BL11)) * (1 + level_BL11.square()).sqrt()


@HEADS.register("denoising")
class DenoisingHead(Head):
    """``loss = mean (1 + s^2) |n - noise(x + s n, s)|^2``, one level s per image (arXiv 1907.05600, 2011.13456).

    Levels are those of the task's schedule at times drawn evenly between ``low`` and ``high``; variance-preserving
    images are those of the same level times ``1 / sqrt(1 + s^2)``, which the network takes anyway, so that schedules
    differ in how often they learn a level.
    In training noise and levels are of torch's own generator, which the trainer seeds and its checkpoints hold. In
    evaluation every image gets the levels of the task and the same noise each time, so that networks are compared on
    the same noisy images. What it is least for is the score of the images with noise, ``-noise(x, s) / s``
    (:meth:`score`); the factor weighs levels alike, white images of unit variance giving 1 at all of them
    (arXiv 2206.00364).
    """

    def make_layers(self, backbone: nn.Module, dropout: float = 0.0) -> nn.Module:
        check_conditioned(backbone)
        return NoiseErrorLayers(backbone, 1, dropout, what="task 'denoising'")

    def encode(self, backbone: nn.Module, x_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the maps of noisy images, (B * L, F, G, H', W'), these over sqrt(1 + s^2), levels and noise."""
        if self.training:
            noise_BLHW = torch.randn_like(x_BCHW)
            level_BL = draw_levels(self.task, torch.rand_like(x_BCHW[:, :, 0, 0]))
        else:
            shape = (self.task.n_levels, *x_BCHW.shape[2:])
            drawn_LHW = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(x_BCHW)
            noise_BLHW = drawn_LHW.expand(len(x_BCHW), *shape)
            level_BL = torch.as_tensor(self.task.levels).to(x_BCHW).expand(len(x_BCHW), -1)
        level_BL11 = level_BL[:, :, None, None]
        z_BLHW = (x_BCHW + level_BL11 * noise_BLHW) * torch.rsqrt(1 + level_BL11.square())
        maps_NFGHW = backbone.forward_maps(z_BLHW.flatten(0, 1)[:, None], level_BL.flatten())
        return maps_NFGHW, z_BLHW, level_BL11, noise_BLHW

    def loss(self, raw_B: Tensor, target_B: Tensor) -> Tensor:
        known_B = torch.isfinite(target_B).flatten(1).all(1)[:, None, None, None]
        n_pixels = known_B.sum().clamp_min(1) * raw_B[0].numel()
        return torch.where(known_B, widen(raw_B).square(), 0).sum() / n_pixels

    def score(self, backbone: nn.Module, layers: nn.Module) -> ScoreNetwork:
        """Return the score that a backbone and the layers of this head have learnt."""
        plain = MapLayers(backbone, 1, what="score")
        plain.load_state_dict(layers.state_dict())
        return ScoreNetwork(backbone, plain)


def draw_levels(task: Denoising, share: Tensor) -> Tensor:
    """Return the noise levels at ``share``, 0 to 1, of the way in time from the lowest learnt level to the highest."""
    ends = {"low": task.low, "high": task.high} if task.schedule == "ve" else {}
    schedule = make_schedule(task.schedule, **ends)
    first, last = (schedule.time_of(torch.tensor(level, dtype=torch.float64)) for level in (task.low, task.high))
    return schedule.level(first + (last - first) * share.double()).to(share)
