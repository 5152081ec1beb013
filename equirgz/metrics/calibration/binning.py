"""The two ways of putting confidences into bins. Legend: N sources, M bins."""

from __future__ import annotations

from typing import Literal

import numpy as np

from equirgz.errors import InputError, check_choice
from equirgz.metrics.check import UndefinedMetricError

Scheme = Literal["width", "mass"]
N_BINS = 15  # the number of bins in most published calibration tables


def check_bins(n_bins: int) -> int:
    """Return ``n_bins`` when it is a whole number >= 1, else raise InputError."""
    if isinstance(n_bins, bool) or not isinstance(n_bins, int | np.integer) or n_bins < 1:
        raise InputError("n_bins", expected="a whole number >= 1", got=repr(n_bins))
    return int(n_bins)


def equal_width_bins(confidence_N: np.ndarray, n_bins: int = N_BINS) -> np.ndarray:
    """Return the bin index in 0..n_bins-1 of each confidence in [0, 1], bins of equal width.

    Bin m holds (m / M, (m+1) / M]; 0 belongs to the first bin and 1 to the last (arXiv 1706.04599).
    """
    edges = np.linspace(0, 1, check_bins(n_bins) + 1)
    return np.searchsorted(edges[1:-1], confidence_N, side="left")


def equal_mass_bins(confidence_N: np.ndarray, n_bins: int = N_BINS) -> np.ndarray:
    """Return the bin index of each confidence, bins of equal numbers of sources, ties kept together.

    The source of rank r (0..N-1) belongs to bin floor(M (r + 1/2) / N). Equal confidences share the
    mean of their ranks, so that the result does not depend on the order of the sources; bins then
    differ in size and may be empty. Without ties, bin sizes differ by at most one (arXiv 1904.01685).

    Raises: UndefinedMetricError where there are fewer sources than bins.
    """
    n_bins, n_sources = check_bins(n_bins), len(confidence_N)
    if n_sources < n_bins:
        raise UndefinedMetricError(
            "equal-mass bins", expected=f"at least {n_bins} sources, one per bin", got=n_sources, mend="use fewer bins"
        )
    _, inverse_N, count_U = np.unique(confidence_N, return_inverse=True, return_counts=True)
    middle_U = np.cumsum(count_U) - count_U / 2  # mean rank + 1/2 of each distinct value
    return np.floor(middle_U * n_bins / n_sources).astype(np.int64).clip(max=n_bins - 1)[inverse_N]


def make_bins(confidence_N: np.ndarray, n_bins: int = N_BINS, scheme: Scheme = "width") -> np.ndarray:
    """Return bin indices by ``scheme``: "width" (equal width) or "mass" (equal numbers of sources)."""
    check_choice("binning scheme", scheme, ("width", "mass"))
    return (equal_width_bins if scheme == "width" else equal_mass_bins)(confidence_N, n_bins)


def top_label(probability_NK: np.ndarray, target_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (confidence_N, correct_N): the largest probability, and 1.0 where its class is the target."""
    return probability_NK.max(axis=1), (probability_NK.argmax(axis=1) == target_N).astype(np.float64)
