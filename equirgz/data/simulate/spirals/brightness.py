"""Galaxies with bars and spiral arms, drawn from formulas.

In the plane of the disc, with R, theta and lengths in pixels, surface brightness in units of the disc's centre:

    disc    exp(-R / h)
    bulge   Sersic profile of index n and half-light radius r_e, round on the sky
    bar     A (1 - d^2) inside d < 1,  d^c = |u / a|^c + |v / b|^c,  c = 2.5  (Ferrers on a generalised ellipse)
    arms    A disc(R) exp(-s^2 / 2 w^2),  s = R |theta - theta_m(R)| sin(pitch),  theta_m = ln(R / R_0) / tan(pitch)

so that each of m ridges is a logarithmic spiral R = R_0 exp(theta tan(pitch)). The plane is inclined by a factor on one
axis, and all is blurred by a Gaussian. A true mask is where a blurred component is above a share of the blurred total
without the bulge, so that a bar goes on through it.
Legend: H W pixels, K parts.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from equirgz.data.simulate.spirals.galaxy import Galaxy

PARTS = ("bar", "arms")
SHARE = 0.4  # of the total, above which a pixel belongs to a component
_FERRERS_POWER = 2.5
_ARM_ENDS = (0.6, 3.2)  # where arms begin and end, in scale lengths of the disc


def render_galaxy(galaxy: Galaxy, size_px: int, psf_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the total brightness (H, W), blurred by a Gaussian of standard deviation ``psf_px``, and without
    the bulge the shares of bar and arms (K, H, W)."""
    axis = np.arange(size_px) - (size_px - 1) / 2
    column, row_up = np.meshgrid(axis, -axis)
    x, y = _turned(column, row_up, galaxy.position_angle)
    y = y / galaxy.axis_ratio
    radius, theta, h = np.hypot(x, y), np.arctan2(y, x), galaxy.scale_length
    disc = np.exp(-radius / h)
    b_n = 2 * galaxy.bulge_index - 1 / 3
    bulge = np.exp(-b_n * ((np.hypot(column, row_up) / galaxy.bulge_radius) ** (1 / galaxy.bulge_index)))
    bulge *= galaxy.bulge_share / (1 - galaxy.bulge_share) * disc.sum() / bulge.sum()
    bar, arms = np.zeros_like(disc), np.zeros_like(disc)
    if galaxy.bar_length:
        u, v = _turned(x, y, galaxy.bar_angle)
        c = _FERRERS_POWER
        d = (np.abs(u / galaxy.bar_length) ** c + np.abs(v / (galaxy.bar_ratio * galaxy.bar_length)) ** c) ** (1 / c)
        bar = galaxy.bar_height * np.clip(1 - d**2, 0, None)
    if galaxy.n_arms:
        start = max(galaxy.bar_length, _ARM_ENDS[0] * h)
        ridge = galaxy.sense * np.log(np.maximum(radius, 1e-3) / start) / np.tan(galaxy.pitch) + galaxy.bar_angle
        period = 2 * np.pi / galaxy.n_arms
        off = np.abs((theta - ridge + period / 2) % period - period / 2)
        profile = np.exp(-0.5 * (radius * off * np.sin(galaxy.pitch) / galaxy.arm_width) ** 2)
        ends = np.exp(-0.5 * (np.clip(start - radius, 0, None) / (0.2 * h)) ** 2)
        ends = ends * np.exp(-0.5 * (np.clip(radius - _ARM_ENDS[1] * h, 0, None) / (0.2 * h)) ** 2)
        arms = galaxy.arm_height * disc * profile * ends
    bulge, *parts = (gaussian_filter(part, psf_px) for part in (bulge, disc, bar, arms))
    rest_HW = np.sum(parts, 0)
    return bulge + rest_HW, np.stack(parts[1:]) / np.maximum(rest_HW, 1e-12)


def _turned(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinates along and across an axis at ``angle``."""
    return x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
