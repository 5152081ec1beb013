"""What is true of a drawn source, measured on its particles without beam and noise.

Legend: N sources, P particles, B bins.
"""

from __future__ import annotations

import numpy as np

_BINS, _CELLS = 192, 32
TAIL = 0.01  # of the extended flux beyond either end of the largest angular size


def measure_truth(
    x_NP: np.ndarray,
    y_NP: np.ndarray,
    weight_NP: np.ndarray,
    las_N: np.ndarray,
    component_P: np.ndarray,
    side_P: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return what is true of every source, arrays (N,), and ``scale``, the factor that its lengths need.

    ``weight`` is the share of the flux and sums to 1; ``las`` is the size that the source shall have.

    * las_arcsec: extent, along the principal axis of the extended flux, of all but 1 % of it at either end, and of
      the core; after scaling equal to ``las`` unless that took a factor beyond 1/2 to 2
    * fr_ratio: distance of the brightest places of both arms, seen with a sixteenth of the size, over the size
    * bending_deg: 180 degrees less the angle between the directions from the core to the flux of both arms
    * asymmetry: difference over sum of the distances from the core to the farthest 1 % of the flux of both arms
    * core_share, hot_share, jet_share, lobe_share of the flux
    * position_angle_deg of the principal axis before the source is turned is left out: it is circular
    """
    extended_NP = np.where(component_P == 0, 0, weight_NP)
    total_N = np.maximum(extended_NP.sum(1), 1e-12)
    mean_x, mean_y = (np.einsum("np,np->n", extended_NP, v) / total_N for v in (x_NP, y_NP))
    dx, dy = x_NP - mean_x[:, None], y_NP - mean_y[:, None]
    xx, yy, xy = (np.einsum("np,np,np->n", extended_NP, a, b) for a, b in ((dx, dx), (dy, dy), (dx, dy)))
    angle_N = 0.5 * np.arctan2(2 * xy, xx - yy).astype(np.float32)
    along_NP = x_NP * np.cos(angle_N)[:, None] + y_NP * np.sin(angle_N)[:, None]
    low_N, high_N = _weighted_ends(along_NP, extended_NP, TAIL)
    extent_N = np.maximum(high_N, 0) - np.minimum(low_N, 0)
    scale_N = np.clip(las_N / np.maximum(extent_N, 1e-6), 0.5, 2.0).astype(np.float32)
    truth = {"scale": scale_N, "las_arcsec": extent_N * scale_N}
    arms = [np.where(side_P == side, weight_NP, 0) for side in (0, 1)]
    truth["fr_ratio"] = _fr_ratio(x_NP, y_NP, weight_NP, np.maximum(extent_N, 1e-6), side_P)
    directions, reaches = [], []
    for arm_NP in arms:
        arm_x, arm_y = ((arm_NP * v).sum(1) for v in (x_NP, y_NP))
        directions.append(np.arctan2(arm_y, arm_x))
        norm = np.maximum(np.hypot(arm_x, arm_y), 1e-12)
        onto_NP = (x_NP * arm_x[:, None] + y_NP * arm_y[:, None]) / norm[:, None]
        reaches.append(np.maximum(_weighted_ends(onto_NP, arm_NP, TAIL)[1], 0))
    apart = np.abs((directions[0] - directions[1] + np.pi) % (2 * np.pi) - np.pi)
    truth["bending_deg"] = 180 - np.rad2deg(apart)
    truth["asymmetry"] = np.abs(reaches[0] - reaches[1]) / np.maximum(reaches[0] + reaches[1], 1e-12)
    for name, component in (("core_share", 0), ("jet_share", 1), ("lobe_share", 2), ("hot_share", 3)):
        truth[name] = weight_NP[:, component_P == component].sum(1)
    return truth


def _weighted_ends(value_NP: np.ndarray, weight_NP: np.ndarray, tail: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the ``tail`` and ``1 - tail`` quantiles of weighted values, from a histogram, by interpolation."""
    n = len(value_NP)
    has = weight_NP > 0
    low = np.where(has, value_NP, np.inf).min(1)
    high = np.where(has, value_NP, -np.inf).max(1)
    empty = ~(high > low)
    low, high = np.where(empty, -1e-6, low), np.where(empty, 1e-6, high)
    step = (high - low) / _BINS
    place = np.clip(((value_NP - low[:, None]) / step[:, None]).astype(np.int64), 0, _BINS - 1)
    place += (np.arange(n) * _BINS)[:, None]
    mass = np.bincount(place.ravel(), weight_NP.ravel(), n * _BINS).reshape(n, _BINS)
    total = np.cumsum(mass, 1)
    total /= np.maximum(total[:, -1:], 1e-30)
    ends = []
    for level in (tail, 1 - tail):
        bin_N = np.minimum((total < level).sum(1), _BINS - 1)
        before = np.where(bin_N > 0, np.take_along_axis(total, np.maximum(bin_N - 1, 0)[:, None], 1)[:, 0], 0)
        here = np.take_along_axis(total, bin_N[:, None], 1)[:, 0]
        part = np.clip((level - before) / np.maximum(here - before, 1e-12), 0, 1)
        ends.append(low + (bin_N + part) * step)
    return ends[0], ends[1]


def _fr_ratio(
    x_NP: np.ndarray, y_NP: np.ndarray, weight_NP: np.ndarray, las_N: np.ndarray, side_P: np.ndarray
) -> np.ndarray:
    """Return the distance of the brightest places of both arms over the size: cells of las / 16, 3 x 3 of them."""
    n = len(x_NP)
    keep = side_P >= 0
    half = _CELLS // 2
    cells = [
        np.clip((v[:, keep] * (half / las_N)[:, None] + half).astype(np.int64), 0, _CELLS - 1) for v in (x_NP, y_NP)
    ]
    arm = side_P[keep].astype(np.int64)[None] + 2 * np.arange(n)[:, None]
    place = (arm * _CELLS + cells[1]) * _CELLS + cells[0]
    light = np.bincount(place.ravel(), weight_NP[:, keep].ravel(), 2 * n * _CELLS**2).reshape(2 * n, _CELLS, _CELLS)
    padded = np.pad(light, ((0, 0), (1, 1), (1, 1)))
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    smooth = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    best = smooth.reshape(2 * n, -1).argmax(1).reshape(n, 2)
    row, column = best // _CELLS, best % _CELLS
    return np.hypot(row[:, 0] - row[:, 1], column[:, 0] - column[:, 1]) / half
