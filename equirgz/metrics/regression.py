"""Residuals of predicted numbers and what is said of them. Legend: N sources."""

from __future__ import annotations

import numpy as np

from equirgz.metrics.check import UndefinedMetricError


def wrap_residual(residual_N: np.ndarray, period: float | None) -> np.ndarray:
    """Return residuals as they are, or of a circular quantity in [-period / 2, period / 2)."""
    residual_N = np.asarray(residual_N, np.float64)
    return residual_N if period is None else (residual_N + period / 2) % period - period / 2


def scatter(residual_N: np.ndarray) -> float:
    """Return half the width that holds the central 68.27 % of the residuals: 1 sigma where they are normal.

    Raises UndefinedMetricError for fewer than two sources.
    """
    _several("scatter", residual_N)
    low, high = np.quantile(residual_N, [0.158655, 0.841345])
    return float(high - low) / 2


def explained_variance(value_N: np.ndarray, residual_N: np.ndarray) -> float:
    """Return R^2 = 1 - sum of squared residuals / sum of squares about the mean: 1 perfect, 0 as the mean.

    Raises UndefinedMetricError where the values are all equal.
    """
    value_N = np.asarray(value_N, np.float64)
    spread = float(np.square(value_N - value_N.mean()).sum()) if len(value_N) else 0.0
    if spread == 0:
        raise UndefinedMetricError("R^2", expected="values that differ", got=f"{len(value_N)} equal ones")
    return 1 - float(np.square(residual_N).sum()) / spread


def rank_correlation(value_N: np.ndarray, predicted_N: np.ndarray) -> float:
    """Return Spearman's rank correlation; UndefinedMetricError where either is constant."""
    from scipy.stats import spearmanr

    _several("rank correlation", value_N)
    if np.ptp(value_N) == 0 or np.ptp(predicted_N) == 0:
        raise UndefinedMetricError("rank correlation", expected="values that differ", got="a constant")
    return float(spearmanr(value_N, predicted_N).statistic)


def _several(what: str, array_N: np.ndarray) -> None:
    if len(array_N) < 2:
        raise UndefinedMetricError(what, expected="at least two sources", got=len(array_N))
