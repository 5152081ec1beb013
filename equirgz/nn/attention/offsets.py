"""Where one position lies from another: indices of pixels and offsets, and functions of turned offsets.

Legend: S side of the map, P positions, O offsets, G group elements, K functions.
"""

from __future__ import annotations

import numpy as np

from equirgz.geometry.action import disk_mask
from equirgz.geometry.group import Group


def offset_functions(x_O2: np.ndarray, reach_px: float, max_frequency: int = 2) -> np.ndarray:
    """Return B_k(x), (K, O) float64: exp(-(|x| - r)^2 / (2 sigma_r^2)) times 1, cos(m phi), sin(m phi).

    Rings r = 0, 1, 2, 4, 8, ... up to ``reach_px``, as finely as near neighbours need and no finer,
    with sigma_r = max(1/2, 3 r / 8) pixels. Frequencies m up to ``max_frequency``, at most 2 on ring 1 and
    0 on ring 0; functions with m > 0 are 0 at the origin. ``x_O2``: (column, row up) in pixels.
    """
    radius_O, phi_O = np.hypot(x_O2[:, 0], x_O2[:, 1]), np.arctan2(x_O2[:, 1], x_O2[:, 0])
    functions, ring = [], 0
    while ring <= reach_px:
        profile_O = np.exp(-0.5 * ((radius_O - ring) / max(0.5, 0.375 * ring)) ** 2)
        functions.append(profile_O)
        for m in range(1, min(max_frequency, 2 * ring) + 1):
            directed_O = np.where(radius_O < 1e-9, 0.0, profile_O)
            functions += [directed_O * np.cos(m * phi_O), directed_O * np.sin(m * phi_O)]
        ring = max(1, 2 * ring)
    return np.stack(functions)


def turned_functions(group: Group, offsets_O2: np.ndarray, max_frequency: int) -> np.ndarray:
    """Return B_k(g^-1 x) of :func:`offset_functions`, (G, K, O); ``offsets_O2``: (column, row down)."""
    reach_px = float(np.hypot(*offsets_O2.T).max())
    up_O2 = offsets_O2 * np.array([1.0, -1.0])
    return np.stack([offset_functions(up_O2 @ matrix, reach_px, max_frequency) for matrix in group.matrix_G22])


def positions_on_map(map_size: int, disk: bool) -> np.ndarray:
    """Row-major indices of the pixels in use: all, or those that touch the inscribed disk."""
    inside = disk_mask(map_size, margin_px=-0.5).numpy() > 0 if disk else np.ones((map_size, map_size), bool)
    return np.flatnonzero(inside)


def place_of_pixel(map_size: int, pixel_P: np.ndarray) -> np.ndarray:
    """Number of the position that each pixel of the map is, P for those that are none, (S * S,)."""
    home_S = np.full(map_size**2, len(pixel_P))
    home_S[pixel_P] = np.arange(len(pixel_P))
    return home_S


def window_offsets(window: int) -> np.ndarray:
    """(column, row down) of all lattice offsets at most ``window`` long, (O, 2)."""
    axis = np.arange(-window, window + 1)
    row, column = np.meshgrid(axis, axis, indexing="ij")
    near = row**2 + column**2 <= window**2
    return np.stack([column[near], row[near]], -1)


def map_offsets(map_size: int) -> np.ndarray:
    """(column, row down) of all offsets between pixels of one map, (O, 2)."""
    axis = np.arange(1 - map_size, map_size)
    row, column = np.meshgrid(axis, axis, indexing="ij")
    return np.stack([column.ravel(), row.ravel()], -1)


def offset_index(map_size: int, pixel_P: np.ndarray) -> np.ndarray:
    """Index into :func:`map_offsets` of q - p, for query p (rows) and key q (columns), (P, P)."""
    row_P, column_P = np.divmod(pixel_P, map_size)
    row_PP = row_P[None] - row_P[:, None] + map_size - 1
    column_PP = column_P[None] - column_P[:, None] + map_size - 1
    return row_PP * (2 * map_size - 1) + column_PP
