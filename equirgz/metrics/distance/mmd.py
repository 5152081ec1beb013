"""Maximum mean discrepancy with a Gaussian kernel (arXiv 0805.2368). Legend: N, M sources, F features."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist, pdist

from equirgz.errors import require
from equirgz.metrics.distance.frechet import check_features


def median_distance(x_NF: np.ndarray) -> float:
    """Return the median distance between sources that differ; 0 where all are alike."""
    distance_P = pdist(x_NF)
    apart = distance_P[distance_P > 0]
    return float(np.median(apart)) if len(apart) else 0.0


def median_width(first_NF: np.ndarray, second_MF: np.ndarray) -> float:
    """Return the median distance between the sources of the pooled set, in units of the features.

    Where that is 0, since most are copies, it is the median of those that differ.
    """
    pooled = np.concatenate(check_features(first_NF, second_MF))
    width = float(np.median(cdist(pooled, pooled)[np.triu_indices(len(pooled), 1)])) or median_distance(pooled)
    require(width > 0, "features", expected="sources that differ", got="a median distance of 0")
    return width


def squared_mmd(first_NF: np.ndarray, second_MF: np.ndarray, width: float | None = None) -> float:
    """Return the unbiased estimate of MMD^2, k(x, y) = exp(-|x - y|^2 / 2 width^2); it can be below zero.

    mean_{i != j} k(a_i, a_j) + mean_{i != j} k(b_i, b_j) - 2 mean_{i, j} k(a_i, b_j).
    Args: width: None takes `median_width`. NaN: refused.
    Raises: InputError for unequal widths, fewer than two sources, or width <= 0.
    """
    a_NF, b_MF = check_features(first_NF, second_MF)
    width = median_width(a_NF, b_MF) if width is None else width
    require(width > 0, "kernel width", expected="> 0", got=width)

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.exp(-cdist(x, y, "sqeuclidean") / (2 * width**2))

    n, m = len(a_NF), len(b_MF)
    within_a = (kernel(a_NF, a_NF).sum() - n) / (n * (n - 1))
    within_b = (kernel(b_MF, b_MF).sum() - m) / (m * (m - 1))
    return float(within_a + within_b - 2 * kernel(a_NF, b_MF).mean())
