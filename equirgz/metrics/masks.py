"""Overlap of predicted and true masks. Legend: N sources, K parts, H W pixels, S sums over a source's pixels."""

from __future__ import annotations

import numpy as np

#: what is kept of a source and part; "said" and "true" are pixels at 1/2 or more, among those that were asked
SUMS = ("asked", "said", "true", "both", "squared_error")


def count_pixels(probability_NKHW: np.ndarray, target_NKHW: np.ndarray) -> np.ndarray:
    """Return sums_NKS, float64, over the pixels whose target is not NaN (see :data:`SUMS`)."""
    p_NKHW, target_NKHW = np.asarray(probability_NKHW, np.float64), np.asarray(target_NKHW, np.float64)
    asked_NKHW = np.isfinite(target_NKHW)
    said_NKHW, true_NKHW = (p_NKHW >= 0.5) & asked_NKHW, np.nan_to_num(target_NKHW) >= 0.5
    square_NKHW = np.where(asked_NKHW, np.square(p_NKHW - np.nan_to_num(target_NKHW)), 0.0)
    parts = (asked_NKHW, said_NKHW, true_NKHW, said_NKHW & true_NKHW, square_NKHW)
    return np.stack([part.sum((2, 3)).astype(np.float64) for part in parts], -1)


def intersection_over_union(sums_NKS: np.ndarray) -> np.ndarray:
    """Return IoU_NK = both / (said + true - both); NaN where neither is anywhere, which no overlap can describe."""
    said_NK, true_NK, both_NK = (sums_NKS[..., SUMS.index(name)] for name in ("said", "true", "both"))
    union_NK = said_NK + true_NK - both_NK
    return np.divide(both_NK, union_NK, out=np.full(union_NK.shape, np.nan), where=union_NK > 0)


def dice(sums_NKS: np.ndarray) -> np.ndarray:
    """Return Dice_NK = 2 both / (said + true); NaN where neither is anywhere."""
    said_NK, true_NK, both_NK = (sums_NKS[..., SUMS.index(name)] for name in ("said", "true", "both"))
    total_NK = said_NK + true_NK
    return np.divide(2 * both_NK, total_NK, out=np.full(total_NK.shape, np.nan), where=total_NK > 0)
