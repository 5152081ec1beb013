"""Uncertainty calibration error: does a stated uncertainty match how often the model errs? (arXiv 2201.01203)

Legend: N sources, K classes, M bins.
"""

from __future__ import annotations

import numpy as np

from equirgz.errors import InputError, require
from equirgz.metrics.calibration.binning import equal_width_bins
from equirgz.metrics.check import UndefinedMetricError, check_finite, check_several_classes, check_target

N_BINS = 8  # as published


def uncertainty_calibration_error(
    uncertainty_N: np.ndarray, error_N: np.ndarray, n_classes: int = 2, n_bins: int = N_BINS
) -> float:
    """Return UCE = 100 sum_m |S_m|/N |mean u - K/(K-1) mean error|, in per cent.

    Args: uncertainty_N: in [0, 1], such as an entropy divided by ln K. error_N: in [0, 1], 1 where the
    source is classified wrongly, or a share of wrong samples (`posterior_error`). The factor K/(K-1) maps
    the error of a guess, (K-1)/K, to the uncertainty of a guess, 1; for K = 2 it is the published 2.
    Bins have equal widths in uncertainty. NaN: refused.
    Raises: InputError for values outside [0, 1], unequal lengths, or K < 2; UndefinedMetricError for fewer
    sources than bins, where the mean error of a bin is that of a single source.
    """
    u_N, e_N = _check(uncertainty_N, error_N, n_classes)
    if len(u_N) < n_bins:
        raise UndefinedMetricError(
            "uncertainty calibration error",
            expected=f"at least {n_bins} sources, one per bin",
            got=len(u_N),
            mend="use fewer bins",
        )
    bin_N = equal_width_bins(u_N, n_bins)
    scale = n_classes / (n_classes - 1)
    return float(100 * np.abs(np.bincount(bin_N, weights=u_N - scale * e_N)).sum() / len(u_N))


def classwise_uncertainty_calibration_error(
    uncertainty_N: np.ndarray,
    error_N: np.ndarray,
    target_N: np.ndarray,
    n_classes: int = 2,
    n_bins: int = N_BINS,
) -> float:
    """Return cUCE, the mean over the classes that occur of the UCE of their sources, in per cent.

    Raises: InputError as the UCE does; UndefinedMetricError where all sources are of one class, or a class
    that occurs has fewer sources than there are bins.
    """
    u_N, e_N = _check(uncertainty_N, error_N, n_classes)
    target_N = check_target(target_N, len(u_N), n_classes)
    check_several_classes("class-wise uncertainty calibration error", target_N)
    per_class = [
        uncertainty_calibration_error(u_N[target_N == k], e_N[target_N == k], n_classes, n_bins)
        for k in np.unique(target_N)
    ]
    return float(np.mean(per_class))


def _check(uncertainty_N: np.ndarray, error_N: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    u_N, e_N = check_finite("uncertainty_N", uncertainty_N, 1), check_finite("error_N", error_N, 1)
    if len(u_N) != len(e_N):
        raise InputError("error_N", expected=f"{len(u_N)} entries", got=len(e_N))
    require(n_classes >= 2, "n_classes", expected=">= 2", got=n_classes)
    for name, values in (("uncertainty_N", u_N), ("error_N", e_N)):
        if values.min() < -1e-9 or values.max() > 1 + 1e-9:
            raise InputError(
                name,
                expected="values in [0, 1]",
                got=f"{values.min():.4g} to {values.max():.4g}",
                mend="divide an entropy by ln K",
            )
    return u_N.clip(0, 1), e_N.clip(0, 1)
