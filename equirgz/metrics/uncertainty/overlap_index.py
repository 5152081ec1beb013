"""Overlap index of the predictive distributions of two classes (arXiv 2102.08252).

Each class's sampled probabilities are smoothed with a Gaussian kernel of width 0.1; the index is the area
under the smaller of the two densities: 0 where the classes are apart, 1 where they cannot be told.
Legend: S samples, N sources, K classes, X grid points.
"""

from __future__ import annotations

import numpy as np

from equirgz.errors import InputError
from equirgz.metrics.uncertainty.predictive_samples import check_samples

WIDTH, N_POINTS = 0.1, 100  # as published


def _density(sample_SM: np.ndarray, x_X: np.ndarray, width: float) -> np.ndarray:
    """Return the kernel density (X, M) of the samples of M distributions at ``x_X``."""
    z_XSM = (x_X[:, None, None] - sample_SM) / width
    return np.exp(-(z_XSM**2) / 2).mean(axis=1) / (width * np.sqrt(2 * np.pi))


def _two_classes(probability_SNK: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the samples (S, N) of the two classes of highest mean probability."""
    p_SNK = check_samples(probability_SNK)
    top_N2 = np.argsort(-p_SNK.mean(axis=0), axis=1, kind="stable")[:, :2]
    rows = np.arange(p_SNK.shape[1])
    return p_SNK[:, rows, top_N2[:, 0]], p_SNK[:, rows, top_N2[:, 1]]


def overlap_index(
    probability_SNK: np.ndarray,
    *,
    edge_corrected: bool = True,
    width: float = WIDTH,
    n_points: int = N_POINTS,
) -> np.ndarray:
    """Return eta_N, the overlap of the two most probable classes of each source, in [0, 1].

    eta = integral over [0, 1] of min(f_a(x), f_b(x)) dx on ``n_points`` points.
    edge_corrected: mass that the kernel puts outside [0, 1] is folded back and the integral is a
    trapezoidal sum, so that equal distributions give 1 wherever they lie. False: as published, a plain
    sum times 1 / n_points without folding, where equal distributions give 0.990 at p = 0.5 but 0.515 at p = 0 or 1.
    NaN: refused. Raises: InputError for unusable samples or width <= 0.
    """
    from scipy.integrate import trapezoid

    if not width > 0 or n_points < 3:
        raise InputError("width, n_points", expected="width > 0 and n_points >= 3", got=(width, n_points))
    first_SN, second_SN = _two_classes(probability_SNK)
    x_X = np.linspace(0, 1, n_points)
    eta_N = np.empty(first_SN.shape[1])
    step = max(1, 4_000_000 // (n_points * first_SN.shape[0]))
    for start in range(0, len(eta_N), step):
        part = slice(start, start + step)
        smaller_XM = np.minimum(*(_folded(s[:, part], x_X, width, edge_corrected) for s in (first_SN, second_SN)))
        total_M = trapezoid(smaller_XM, x_X, axis=0) if edge_corrected else smaller_XM.sum(axis=0) / n_points
        eta_N[part] = total_M
    return np.clip(eta_N, 0.0, 1.0) if edge_corrected else eta_N


def _folded(sample_SM: np.ndarray, x_X: np.ndarray, width: float, fold: bool) -> np.ndarray:
    from scipy.integrate import trapezoid

    density_XM = _density(sample_SM, x_X, width)
    if fold:
        density_XM += _density(-sample_SM, x_X, width) + _density(2 - sample_SM, x_X, width)
        density_XM /= trapezoid(density_XM, x_X, axis=0)
    return density_XM
