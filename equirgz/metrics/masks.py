"""Overlap of predicted and true masks. Legend: N sources, K parts, H W pixels, S sums over a source's pixels."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import label

from equirgz.errors import InputError

N_BINS = 10  # of predicted shares, of equal width
#: what is kept of a source and part; "said" and "true" are pixels at 1/2 or more, among those that were asked; then of
#: each bin of predicted shares the pixels, and the sums of the predicted and the true shares
SUMS = (
    "asked",
    "said",
    "true",
    "both",
    "squared_error",
    *(f"{what}_{b}" for what in ("count", "predicted", "observed") for b in range(N_BINS)),
)


def count_pixels(probability_NKHW: np.ndarray, target_NKHW: np.ndarray) -> np.ndarray:
    """Return sums_NKS, float64, over the pixels whose target is not NaN (see :data:`SUMS`).

    Raises InputError for masks of another shape than the targets, which would otherwise be stretched over them.
    """
    p_NKHW, target_NKHW = np.asarray(probability_NKHW, np.float64), np.asarray(target_NKHW, np.float64)
    if p_NKHW.ndim != 4 or p_NKHW.shape != target_NKHW.shape:
        expected = f"(N, K, H, W) as of the true ones, {target_NKHW.shape}"
        raise InputError("predicted masks", expected=expected, got=p_NKHW.shape)
    asked_NKHW = np.isfinite(target_NKHW)
    share_NKHW = np.nan_to_num(target_NKHW)
    said_NKHW, true_NKHW = (p_NKHW >= 0.5) & asked_NKHW, share_NKHW >= 0.5
    square_NKHW = np.where(asked_NKHW, np.square(p_NKHW - share_NKHW), 0.0)
    parts = (asked_NKHW, said_NKHW, true_NKHW, said_NKHW & true_NKHW, square_NKHW)
    sums_NK5 = np.stack([part.sum((2, 3)).astype(np.float64) for part in parts], -1)
    n, k = p_NKHW.shape[:2]
    bin_NKHW = np.clip((p_NKHW * N_BINS).astype(int), 0, N_BINS - 1)
    place_NKHW = bin_NKHW + N_BINS * np.arange(n * k).reshape(n, k, 1, 1)
    place = place_NKHW[asked_NKHW]
    weights = (None, p_NKHW[asked_NKHW], share_NKHW[asked_NKHW])
    binned = [np.bincount(place, weight, n * k * N_BINS).reshape(n, k, N_BINS) for weight in weights]
    return np.concatenate([sums_NK5, *binned], -1)


def calibration_error(sums_NKS: np.ndarray) -> float:
    """Return the expected calibration error of pixels: the sum over bins of ``|mean p - mean share| n_b / n``.

    Over all sources and parts together; NaN where no pixel was asked.
    """
    start = SUMS.index("count_0")
    count_B, predicted_B, observed_B = sums_NKS[..., start:].reshape(-1, 3, N_BINS).sum(0)
    n = count_B.sum()
    return float(np.abs(predicted_B - observed_B).sum() / n) if n else float("nan")


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


def measure_length(mask_HW: np.ndarray) -> float:
    """Return the length in pixels of the largest connected region of a mask, along its longest axis; 0 of an empty one.

    The axis is that of the largest second moment about the region's centre; the length is the distance between the
    outermost pixel centres along it, plus one pixel.
    """
    region_HW, n = label(np.asarray(mask_HW, bool), np.ones((3, 3)))
    if n == 0:
        return 0.0
    largest = 1 + int(np.argmax(np.bincount(region_HW.ravel())[1:]))
    point_P2 = np.argwhere(region_HW == largest).astype(np.float64)
    point_P2 -= point_P2.mean(0)
    along_P = point_P2 @ np.linalg.eigh(point_P2.T @ point_P2)[1][:, -1]
    return float(np.ptp(along_P) + 1)
