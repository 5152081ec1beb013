"""A wavelength as waves: what tells a network where on the axis of log wavelength a pixel lies.

Legend: L pixels, K frequencies.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from equirgz.errors import require

SLOWEST, FASTEST = 0.5, 150.0  # waves over the whole range


def embed_wavelength(log_L: Tensor, log_range: tuple[float, float], n_waves: int) -> Tensor:
    """Return ``sin(2 pi f_k u), cos(2 pi f_k u)`` (..., L, 2 K) of log10 wavelengths, u = 0 to 1 over ``log_range``.

    The K frequencies f_k rise in equal ratios from 0.5 to 150 waves over the range: a redshift is a shift of u, which
    turns each pair by an angle of its own. Source: the positional embedding of arXiv 1706.03762, of log wavelength as
    in arXiv 2510.17959.
    """
    require(n_waves >= 2, "n_waves", expected="at least 2", got=n_waves)
    low, high = log_range
    ratio = (FASTEST / SLOWEST) ** (1 / (n_waves - 1))
    frequency_K = SLOWEST * ratio ** torch.arange(n_waves, device=log_L.device, dtype=log_L.dtype)
    angle_LK = 2 * math.pi * ((log_L - low) / (high - low))[..., None] * frequency_K
    return torch.cat([angle_LK.sin(), angle_LK.cos()], -1)
