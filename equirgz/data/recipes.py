"""The published recipes that turn a raw map in Jy/beam into an 8-bit image."""

from __future__ import annotations

import numpy as np

from equirgz.data.sigma import clipped_std
from equirgz.errors import DataError, explain


def first_recipe(
    raw_NHW: np.ndarray, *, size: int = 150, n_sigma: float = 3.0, mask: bool = True, std_N: np.ndarray | None = None
) -> np.ndarray:
    """Return MiraBest-style images (N, size, size) uint8 of raw square maps (N, H, H) in Jy/beam.

    With s the sigma-clipped standard deviation of the WHOLE map (3 sigma, 5 passes): pixels
    <= n_sigma * s become 0; the centre ``[H/2 - size/2, H/2 + size/2)`` is cut; pixels with
    ``hypot(x - size/2, y - size/2) > size/2`` become 0; the range inside that circle is mapped
    linearly to 0..255 and truncated. NaN pixels count as 0 after the noise is measured. A map with
    nothing above the threshold becomes all zero. ``std_N`` replaces the measured noise.
    Reproduces 1253 of the 1256 published MiraBest images bit for bit.
    """
    height = raw_NHW.shape[-1]
    if raw_NHW.ndim != 3 or raw_NHW.shape[1] != height or size > height:
        raise DataError(explain("recipe first", expected=f"square maps of at least {size} px", got=raw_NHW.shape))
    first = height // 2 - size // 2
    axis = np.arange(size) - size // 2
    inside_HW = np.hypot(axis[None, :], axis[:, None]) <= size // 2
    if not mask:
        inside_HW = np.ones_like(inside_HW)
    out = np.zeros((len(raw_NHW), size, size), np.uint8)
    for i, raw_HW in enumerate(raw_NHW):
        std = clipped_std(raw_HW) if std_N is None else float(std_N[i])
        cut_HW = np.nan_to_num(raw_HW[first : first + size, first : first + size], nan=0.0, posinf=0.0, neginf=0.0)
        cut_HW = np.where((cut_HW > n_sigma * std) & inside_HW, cut_HW, 0)
        low, high = cut_HW[inside_HW].min(), cut_HW[inside_HW].max()
        if high > low:
            out[i] = np.where(inside_HW, (cut_HW - low) / (high - low) * 255.0, 0.0).astype(np.uint8)
    return out
