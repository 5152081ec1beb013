"""Calibration errors: does a confidence of 0.8 come true in 80 % of cases?

All are built from the gap of a bin m, with S_m the sources in it, conf the confidence given to the
predicted class and acc 1 where that class is right:

    gap_m = | mean_{S_m} acc - mean_{S_m} conf |,   ECE = sum_m |S_m| / N * gap_m   (arXiv 1706.04599)

Every one of them is biased upwards at small N; `perfect_ece` says how much a perfect model would show.
Legend: N sources, K classes, M bins, D draws. NaN is refused everywhere (InputError).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equirgz.errors import require
from equirgz.metrics.base import Terms, metric
from equirgz.metrics.calibration.binning import N_BINS, Scheme, make_bins, top_label
from equirgz.metrics.check import check_predictions, check_probability, check_several_classes
from equirgz.seeding import derive_seed

_DRAWN_AT_ONCE = 2_000_000  # Bernoulli draws held in memory together


def _weighted_gaps(confidence_N: np.ndarray, correct_N: np.ndarray, bin_N: np.ndarray) -> np.ndarray:
    """Return |S_m| / N * gap_m for every bin: the absolute sum of (acc - conf) in it, over N."""
    return np.abs(np.bincount(bin_N, weights=correct_N - confidence_N)) / len(confidence_N)


def gap_terms_NM(p_NK: np.ndarray, target_N: np.ndarray) -> np.ndarray:
    """Return acc - conf of each source in its bin of equal width, 0 in all others: ECE = sum_m |mean of column m|."""
    confidence_N, correct_N = top_label(p_NK, target_N)
    terms_NM = np.zeros((len(target_N), N_BINS))
    terms_NM[np.arange(len(target_N)), make_bins(confidence_N)] = correct_N - confidence_N
    return terms_NM


@metric(
    "calibration/ece",
    unit="1",
    direction="lower",
    lowest=0,
    highest=1,
    terms=Terms(gap_terms_NM, lambda mean_M: np.abs(mean_M).sum(axis=-1)),
)
def expected_calibration_error(
    probability_NK: np.ndarray, target_N: np.ndarray, n_bins: int = N_BINS, scheme: Scheme = "width"
) -> float:
    """Return the top-label ECE in [0, 1] over ``n_bins`` bins (formula above).

    Args: probability_NK: (N, K) probabilities. target_N: (N,) classes. scheme: "width" or "mass".
    Raises: InputError for unusable input; UndefinedMetricError for equal-mass bins with N < n_bins.

    >>> round(expected_calibration_error([[0.9, 0.1], [0.9, 0.1]], [0, 1]), 3)  # 50 % right at 0.9
    0.4
    """
    confidence_N, correct_N = top_label(*check_predictions(probability_NK, target_N))
    return float(_weighted_gaps(confidence_N, correct_N, make_bins(confidence_N, n_bins, scheme)).sum())


@metric("calibration/ece_adaptive", unit="1", direction="lower", lowest=0, highest=1)
def adaptive_calibration_error(probability_NK: np.ndarray, target_N: np.ndarray, n_bins: int = N_BINS) -> float:
    """Return the ECE over bins that hold equal numbers of sources (arXiv 1904.01685); ties stay together."""
    return expected_calibration_error(probability_NK, target_N, n_bins, "mass")


@metric("calibration/mce", unit="1", direction="lower", lowest=0, highest=1)
def maximum_calibration_error(
    probability_NK: np.ndarray, target_N: np.ndarray, n_bins: int = N_BINS, scheme: Scheme = "width"
) -> float:
    """Return max_m gap_m over the bins that hold a source, in [0, 1] (arXiv 1706.04599)."""
    confidence_N, correct_N = top_label(*check_predictions(probability_NK, target_N))
    bin_N = make_bins(confidence_N, n_bins, scheme)
    count_M = np.bincount(bin_N)
    gap_M = np.abs(np.bincount(bin_N, weights=correct_N - confidence_N)[count_M > 0]) / count_M[count_M > 0]
    return float(gap_M.max())


@metric("calibration/ece_classwise", unit="1", direction="lower", lowest=0, highest=1)
def classwise_calibration_error(
    probability_NK: np.ndarray, target_N: np.ndarray, n_bins: int = N_BINS, scheme: Scheme = "width"
) -> float:
    """Return the mean over all K classes of the ECE of p_k against "the class is k" (arXiv 1910.12656).

    A class without a source counts: its probabilities ought to be near zero.
    Raises: InputError for unusable input; UndefinedMetricError where all sources are of one class.
    """
    p_NK, target_N = check_predictions(probability_NK, target_N)
    check_several_classes("class-wise calibration error", target_N)
    per_class = [
        _weighted_gaps(p_N, (target_N == k).astype(np.float64), make_bins(p_N, n_bins, scheme)).sum()
        for k, p_N in enumerate(p_NK.T)
    ]
    return float(np.mean(per_class))


@dataclass(frozen=True)
class PerfectECE:
    """ECE of a perfectly calibrated model: mean and central 95 % range over repeated experiments."""

    mean: float
    low: float
    high: float


def perfect_ece(
    probability_NK: np.ndarray,
    n_bins: int = N_BINS,
    scheme: Scheme = "width",
    n_draws: int = 1000,
    seed: int = 0,
) -> PerfectECE:
    """Return what ECE a perfectly calibrated model would show at this N and these confidences.

    The confidences are kept and each source is redrawn right with exactly the probability that its
    confidence states, ``n_draws`` times (seeded, so the same input gives the same number). An ECE
    below ``high`` is no evidence of miscalibration. At N = 153 the mean is typically 0.07.

    Args: probability_NK: (N, K). Raises: InputError for unusable input or n_draws < 1.
    """
    require(n_draws >= 1, "n_draws", expected=">= 1", got=n_draws)
    confidence_N = np.sort(check_probability(probability_NK).max(axis=1))  # order of sources is irrelevant
    bin_N = make_bins(confidence_N, n_bins, scheme)
    start_M = np.flatnonzero(np.r_[True, np.diff(bin_N) > 0])  # bins rise with confidence
    generator = np.random.default_rng(derive_seed(seed, "perfect_ece"))
    ece_D = np.empty(n_draws)
    chunk = max(1, _DRAWN_AT_ONCE // len(confidence_N))
    for first in range(0, n_draws, chunk):
        size = min(chunk, n_draws - first)
        right_DN = generator.random((size, len(confidence_N))) < confidence_N
        sums_DM = np.add.reduceat(right_DN - confidence_N, start_M, axis=1)
        ece_D[first : first + size] = np.abs(sums_DM).sum(axis=1) / len(confidence_N)
    low, high = np.quantile(ece_D, [0.025, 0.975])
    return PerfectECE(float(ece_D.mean()), float(low), float(high))


@metric("calibration/ece_perfect", unit="1", direction="none", lowest=0, highest=1)
def expected_ece_of_perfect_model(probability_NK: np.ndarray, target_N: np.ndarray) -> float:
    """Return the mean of `perfect_ece` (equal width, 15 bins); the labels are not used."""
    return perfect_ece(probability_NK).mean
