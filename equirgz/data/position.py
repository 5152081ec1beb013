"""Sources matched by sky position."""

from __future__ import annotations

import re

import numpy as np
from scipy.spatial import cKDTree

_POSITION = re.compile(r"(\d{1,3}\.\d+)([+-]\d{1,3}\.\d+)")


def parse_position(name: str) -> tuple[float, float]:
    """Return right ascension and declination in degrees from a name such as ``...123.456-01.234...``, else NaN."""
    found = _POSITION.search(name)
    ra, dec = (float(found[1]), float(found[2])) if found else (np.nan, np.nan)
    return (ra, dec) if 0 <= ra <= 360 and abs(dec) <= 90 else (np.nan, np.nan)


def unit_vectors(position_deg_N2: np.ndarray) -> np.ndarray:
    """Return unit vectors (N, 3) of (right ascension, declination) in degrees; NaN stays NaN."""
    ra, dec = np.deg2rad(np.asarray(position_deg_N2, dtype=np.float64)).T
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], -1)


def match_positions(
    a_deg_N2: np.ndarray, b_deg_M2: np.ndarray, radius_arcsec: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all pairs (i, j, separation in arcsec) with a[i] and b[j] at most ``radius_arcsec`` apart.

    Great-circle distances, any declination, right ascension wraps. NaN positions match nothing.
    Pairs are sorted by i, then by separation.
    """
    a, b = unit_vectors(a_deg_N2), unit_vectors(b_deg_M2)
    good_a = np.flatnonzero(np.isfinite(a).all(1))
    good_b = np.flatnonzero(np.isfinite(b).all(1))
    if not len(good_a) or not len(good_b):
        return np.zeros(0, int), np.zeros(0, int), np.zeros(0)
    chord = 2 * np.sin(np.deg2rad(radius_arcsec / 3600) / 2)
    pairs = cKDTree(a[good_a]).sparse_distance_matrix(
        cKDTree(b[good_b]), chord * (1 + 1e-12), output_type="ndarray"
    )
    i, j = good_a[pairs["i"]], good_b[pairs["j"]]
    separation = 2 * np.rad2deg(np.arcsin(np.clip(pairs["v"] / 2, 0, 1))) * 3600
    order = np.lexsort((separation, i))
    return i[order], j[order], separation[order]
