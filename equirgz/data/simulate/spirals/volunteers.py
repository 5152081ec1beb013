"""Volunteers who draw masks, and err. Legend: V volunteers, H W pixels."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, map_coordinates


def draw_masks(
    truth_HW: np.ndarray,
    n: int,
    generator: np.random.Generator,
    *,
    miss: float,
    shift_px: float,
    dilation_px: float,
) -> np.ndarray:
    """Return the masks of ``n`` volunteers, bool (V, H, W), for one true mask.

    Each misses it with probability ``miss``; else the mask is shifted by normal numbers of ``shift_px`` on each axis,
    and its edge moved outwards by one of mean ``dilation_px / 2`` and standard deviation ``dilation_px``. Where there
    is nothing, nobody draws.
    """
    seen_V = generator.random(n) >= miss
    shift_V2, grow_V = generator.normal(0, 1, (n, 2)) * shift_px, generator.normal(0.5, 1, n) * dilation_px
    if not truth_HW.any():
        return np.zeros((n, *truth_HW.shape), bool)
    outwards_HW = distance_transform_edt(~truth_HW) - distance_transform_edt(truth_HW)
    grid_2HW = np.indices(truth_HW.shape, dtype=np.float64)
    where = grid_2HW[:, None] - shift_V2.T[:, :, None, None]
    distance_VHW = map_coordinates(outwards_HW, where, order=1, mode="nearest")
    return (distance_VHW < grow_V[:, None, None]) & seen_V[:, None, None]
