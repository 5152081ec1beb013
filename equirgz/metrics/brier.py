"""The Brier score. Legend: N sources, K classes."""

from __future__ import annotations

import numpy as np

from equirgz.metrics.base import metric
from equirgz.metrics.check import check_predictions


@metric("calibration/brier", unit="1", direction="lower")
def brier_score(probability_NK: np.ndarray, target_N: np.ndarray) -> float:
    """Return mean_i sum_k (p_ik - [target_i = k])^2, in [0, 2]: Brier's own form, all classes summed.

    For two classes this is twice the score of the positive class alone.
    NaN: refused. Raises: InputError for unusable input. Source: Brier (1950).

    >>> round(brier_score([[0.8, 0.2]], [0]), 6)
    0.08
    """
    p_NK, target_N = check_predictions(probability_NK, target_N)
    return float(((p_NK - np.eye(p_NK.shape[1])[target_N]) ** 2).sum(axis=1).mean())
