"""The velocity of latents on their way between noise and data. Legend: B batch, F latents, K numbers of a condition."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from equirgz.errors import require

N_WAVES = 4
GUIDANCE = (0.0, 2.0)  # weights that are meant: none of the condition, all of it, or beyond it


class VelocityField(nn.Module):
    """v(x, t, c): an MLP of x, of t with its waves, and of the condition, which may be left out.

    Inputs are x_BF, t in [0, 1] with cos and sin of 2 pi k t for k = 1 to 4, the condition times "known", and "known"
    itself, 1 or 0: the field without a condition is learnt by the same weights (arXiv 2207.12598).

    Parameters
    ----------
    n_latents, n_condition : F and K; K may be 0.
    width, depth : of the hidden layers (SiLU), and how many.
    """

    def __init__(self, n_latents: int, n_condition: int, width: int = 128, depth: int = 3) -> None:
        super().__init__()
        sizes = {"n_latents": n_latents, "width": width, "depth": depth}
        for name, value in sizes.items():
            require(value >= 1, name, expected="at least 1", got=value)
        require(n_condition >= 0, "n_condition", expected="at least 0", got=n_condition)
        self.n_latents, self.n_condition = n_latents, n_condition
        n_in = n_latents + 1 + 2 * N_WAVES + n_condition + 1
        layers: list[nn.Module] = []
        for n in [n_in] + [width] * (depth - 1):
            layers += [nn.Linear(n, width), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(width, n_latents))

    def forward(
        self, x_BF: Tensor, t_B: Tensor, condition_BK: Tensor | None = None, known_B: Tensor | None = None
    ) -> Tensor:
        """Return velocity_BF; without ``condition_BK`` that of all data, ``known_B`` says where it is told."""
        if condition_BK is None:
            condition_BK = x_BF.new_zeros(len(x_BF), self.n_condition)
            known_B = x_BF.new_zeros(len(x_BF))
        elif known_B is None:
            known_B = x_BF.new_ones(len(x_BF))
        angle_BW = 2 * math.pi * t_B[:, None] * torch.arange(1, N_WAVES + 1, device=x_BF.device, dtype=x_BF.dtype)
        told = [condition_BK * known_B[:, None], known_B[:, None]]
        return self.layers(torch.cat([x_BF, t_B[:, None], angle_BW.cos(), angle_BW.sin(), *told], 1))


def guided_velocity(field: nn.Module, x_BF: Tensor, t: float, condition_BK: Tensor, guidance: float) -> Tensor:
    """Return ``(1 - w) v(x, t) + w v(x, t, c)``, with w the ``guidance``; InputError for w outside [0, 2]."""
    low, high = GUIDANCE
    require(low <= guidance <= high, "guidance", expected=f"a weight from {low:g} to {high:g}", got=guidance)
    t_B = x_BF.new_full((len(x_BF),), t)
    if guidance == 1:
        return field(x_BF, t_B, condition_BK)
    free_BF = field(x_BF, t_B)
    return free_BF if guidance == 0 else torch.lerp(free_BF, field(x_BF, t_B, condition_BK), guidance)
