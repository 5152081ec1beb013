"""How far points are from a standard Gaussian, seen along random directions.

The one-dimensional test is that of Epps & Pulley (1983), which compares characteristic functions; the sketch over
directions is SIGReg of arXiv 2511.08544. Legend: B batch, P projection, D directions, T knots.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from equirgz.errors import require
from equirgz.objectives.precision import full_precision

_KNOTS, _REACH = 17, 5.0  # of the quadrature over t >= 0; beyond 5 the weight is below 4e-6


@full_precision
def compute_epps_pulley(s_BD: Tensor) -> Tensor:
    """Return the Epps-Pulley statistic of each column, (D,): 0 for no point, of order 1 for Gaussian samples.

    ``T = B integral |phi(t) - exp(-t^2/2)|^2 exp(-t^2/2) dt`` over all t, phi(t) the mean of ``exp(i t s_b)``, by the
    trapezoidal rule over [-5, 5], which leaves out less than 1e-5. With all points at 0 it is
    ``B sqrt(2 pi) (1 - sqrt(2) + 1/sqrt(3))``. Differentiable everywhere; NaN gives NaN.
    """
    t_T = torch.linspace(0, _REACH, _KNOTS, device=s_BD.device, dtype=s_BD.dtype)
    weight_T = torch.exp(-(t_T**2) / 2) * 2 * (_REACH / (_KNOTS - 1))  # 2: the statistic is even in t
    weight_T = torch.cat([weight_T[:1] / 2, weight_T[1:-1], weight_T[-1:] / 2])
    angle_TBD = t_T[:, None, None] * s_BD
    real_TD = angle_TBD.cos().mean(1) - torch.exp(-(t_T**2) / 2)[:, None]
    return len(s_BD) * (weight_T[:, None] * (real_TD**2 + angle_TBD.sin().mean(1) ** 2)).sum(0)


@full_precision
def compute_sigreg(z_BP: Tensor, n_directions: int, seed: int) -> Tensor:
    """Return the mean Epps-Pulley statistic of the points along ``n_directions`` random unit vectors.

    The vectors are drawn uniformly on the sphere from ``seed``, on the CPU, so that they are the same on every device.
    It falls where the points spread like N(0, 1) in every direction: collapsed, lost or correlated dimensions cost.
    """
    require(n_directions >= 1, "n_directions", expected="at least 1", got=n_directions)
    generator = torch.Generator().manual_seed(seed)
    direction_PD = torch.randn(z_BP.shape[1], n_directions, generator=generator, dtype=torch.float64)
    direction_PD = direction_PD / torch.linalg.vector_norm(direction_PD, dim=0)
    return compute_epps_pulley(z_BP @ direction_PD.to(z_BP)).mean()


def collapsed_statistic(batch: int) -> float:
    """Return the statistic of ``batch`` points that all lie at 0: what full collapse costs."""
    return batch * math.sqrt(2 * math.pi) * (1 - math.sqrt(2) + 1 / math.sqrt(3))
