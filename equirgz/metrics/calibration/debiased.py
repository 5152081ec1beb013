"""Calibration errors with less of their small-sample bias (arXiv 1909.10155).

The gap of a bin with n_m sources is measured with noise of variance s_m^2 = acc_m (1 - acc_m) / n_m, so
its absolute value is too large on average. Legend: N sources, K classes, M bins. NaN is refused.
"""

from __future__ import annotations

import numpy as np
from scipy.special import erf

from equirgz.metrics.base import metric
from equirgz.metrics.calibration.binning import N_BINS, Scheme, make_bins, top_label
from equirgz.metrics.check import UndefinedMetricError, check_predictions


def _bins(probability_NK: np.ndarray, target_N: np.ndarray, n_bins: int, scheme: Scheme) -> tuple[np.ndarray, ...]:
    """Return (n_M, gap_M, accuracy_M) of the bins that hold a source."""
    confidence_N, correct_N = top_label(*check_predictions(probability_NK, target_N))
    bin_N = make_bins(confidence_N, n_bins, scheme)
    n_M = np.bincount(bin_N)
    used = n_M > 0
    accuracy_M = np.bincount(bin_N, weights=correct_N)[used] / n_M[used]
    gap_M = accuracy_M - np.bincount(bin_N, weights=confidence_N)[used] / n_M[used]
    return n_M[used], gap_M, accuracy_M


@metric("calibration/ece_debiased", unit="1", direction="lower")
def debiased_calibration_error(
    probability_NK: np.ndarray, target_N: np.ndarray, n_bins: int = N_BINS, scheme: Scheme = "width"
) -> float:
    """Return 2 ECE - E[ECE'], ECE' the error when each gap is redrawn from Normal(gap_m, s_m^2).

    E|Normal(g, s^2)| = s sqrt(2/pi) exp(-g^2 / 2 s^2) + g erf(g / s sqrt 2), so nothing is drawn. This
    is the paper's estimator and is not unbiased: of the bias of a calibrated bin, s sqrt(2/pi), it removes
    sqrt(2) - 1 = 41 % at every n (redrawing doubles the variance, and the bias goes as its root); where the true
    gap is near s it takes off a little too much, and where it is far above s there is no bias to remove. A single
    result can be below zero, which says that no error is seen. Bins whose sources are all right or all wrong claim
    no noise and keep their bias. Raises: InputError for unusable input.
    """
    n_M, gap_M, accuracy_M = _bins(probability_NK, target_N, n_bins, scheme)
    sigma_M = np.sqrt(accuracy_M * (1 - accuracy_M) / n_M)
    safe_M = np.where(sigma_M > 0, sigma_M, 1.0)
    z_M = gap_M / safe_M
    redrawn_M = safe_M * np.sqrt(2 / np.pi) * np.exp(-(z_M**2) / 2) + gap_M * erf(z_M / np.sqrt(2))
    expected_M = np.where(sigma_M > 0, redrawn_M, np.abs(gap_M))
    return float(n_M @ (2 * np.abs(gap_M) - expected_M) / n_M.sum())


def debiased_rms_calibration_error(
    probability_NK: np.ndarray, target_N: np.ndarray, n_bins: int = N_BINS, scheme: Scheme = "width"
) -> float:
    """Return sqrt(max(0, sum_m n_m/N (gap_m^2 - acc_m (1 - acc_m) / (n_m - 1)))), bins of two or more sources.

    The square is unbiased where the bins are fixed (equation 5 of the paper).
    Raises: InputError for unusable input; UndefinedMetricError where no bin holds two sources.
    """
    n_M, gap_M, accuracy_M = _bins(probability_NK, target_N, n_bins, scheme)
    used = n_M > 1
    if not used.any():
        raise UndefinedMetricError("debiased error: expected a bin with two or more sources, got none; use fewer bins")
    n_M, gap_M, accuracy_M = n_M[used], gap_M[used], accuracy_M[used]
    square = n_M @ (gap_M**2 - accuracy_M * (1 - accuracy_M) / (n_M - 1)) / n_M.sum()
    return float(np.sqrt(max(0.0, square)))
