"""Power laws of error against label count, pool size or parameters, and when not to fit one.

Source: arXiv 2404.02973. Legend: R runs, P different sizes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from equirgz.errors import InputError
from equirgz.metrics.check import UndefinedMetricError, check_finite
from equirgz.metrics.interval import check_level

MIN_SIZES, MIN_SPAN = 4, 4.0  # different sizes, and how far the largest must be from the smallest
MISFIT_LEVEL = 0.01


@dataclass(frozen=True)
class PowerLaw:
    """error = floor + coefficient * size^-exponent, fitted in logarithms over the given runs.

    ``exponent_low/high``: Student t interval. ``misfit_p``: p of the lack-of-fit test (NaN where every
    size has one run). ``residual_R``: ln(error - floor) minus the fit, in the order of the runs.
    """

    exponent: float
    exponent_low: float
    exponent_high: float
    coefficient: float
    floor: float
    misfit_p: float
    r_squared: float
    n_runs: int
    n_sizes: int
    residual_R: np.ndarray
    band: tuple[float, float, float, float]  # t s, mean ln size, sum of squares, 1 / R

    def predict(self, size: np.ndarray | float) -> np.ndarray:
        """Return the fitted error at ``size`` (extrapolation is the caller's risk)."""
        return self.floor + self.coefficient * np.asarray(size, dtype=np.float64) ** -self.exponent

    def interval(self, size: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Return the interval of the mean error at ``size``, at the level of the fit."""
        t_s, mean, squares, share = self.band
        half = t_s * np.sqrt(share + (np.log(size) - mean) ** 2 / squares)
        above = self.predict(size) - self.floor
        return self.floor + above * np.exp(-half), self.floor + above * np.exp(half)


def fit_power_law(size_R: np.ndarray, error_R: np.ndarray, *, floor: float = 0.0, level: float = 0.95) -> PowerLaw:
    """Return the least-squares line of ln(error - floor) on ln(size), or refuse where runs do not carry it.

    Args: size_R: label counts (or pool sizes, parameters) of R runs, > 0. error_R: their errors, > floor.
    Give every run, not means over seeds: their spread is what the line is tested against.
    Raises: UndefinedMetricError where there are fewer than 4 different sizes, they span less than a
    factor of 4, the exponent's interval contains 0, or the means leave the line by more than the
    spread of the runs allows (lack-of-fit F test, p < 0.01); InputError for unusable numbers.
    """
    size_R, error_R = check_finite("sizes", size_R, 1), check_finite("errors", error_R, 1)
    check_level(level)
    if len(size_R) != len(error_R) or (size_R <= 0).any():
        raise InputError("sizes and errors", expected="equally many, sizes > 0", got=f"{len(size_R)}, {len(error_R)}")
    if (error_R <= floor).any():
        raise InputError(
            "errors",
            expected=f"all above the floor {floor:g}",
            got=f"{error_R.min():g}",
            mend="a run without error has no logarithm: use a larger test set",
        )
    sizes_P = np.unique(size_R)
    if len(sizes_P) < MIN_SIZES or sizes_P[-1] / sizes_P[0] < MIN_SPAN:
        raise UndefinedMetricError(
            "power law",
            expected=f"{MIN_SIZES} sizes that span a factor of {MIN_SPAN:g}",
            got=f"{len(sizes_P)} from {sizes_P[0]:g} to {sizes_P[-1]:g}",
            mend="run more sizes",
        )
    x_R, y_R = np.log(size_R), np.log(error_R - floor)
    n, squares = len(x_R), float(((x_R - x_R.mean()) ** 2).sum())
    slope = float(((x_R - x_R.mean()) * y_R).sum() / squares)
    residual_R = y_R - (y_R.mean() + slope * (x_R - x_R.mean()))
    sigma = math.sqrt(float((residual_R**2).sum()) / (n - 2))
    t = float(special.stdtrit(n - 2, (1 + level) / 2))
    half = t * sigma / math.sqrt(squares)
    if -slope - half <= 0:
        raise UndefinedMetricError(
            "power law",
            expected="an error that falls with size",
            got=f"exponent {-slope:.3g} +- {half:.2g}",
            mend="run more seeds or sizes",
        )
    misfit_p = _lack_of_fit(x_R, y_R, residual_R)
    if misfit_p < MISFIT_LEVEL:
        raise UndefinedMetricError(
            "power law",
            expected="means on a line in logarithms",
            got=f"lack of fit, p = {misfit_p:.2g}",
            mend="give a floor, or fewer sizes",
        )
    total = float(((y_R - y_R.mean()) ** 2).sum())
    coefficient = math.exp(y_R.mean() - slope * x_R.mean())
    return PowerLaw(
        -slope,
        -slope - half,
        -slope + half,
        coefficient,
        floor,
        misfit_p,
        1 - float((residual_R**2).sum()) / total,
        n,
        len(sizes_P),
        residual_R,
        (t * sigma, float(x_R.mean()), squares, 1 / n),
    )


def _lack_of_fit(x_R: np.ndarray, y_R: np.ndarray, residual_R: np.ndarray) -> float:
    """Return p of the F test of line against means per size; NaN where no size has two different runs."""
    _, size_R = np.unique(x_R, return_inverse=True)
    mean_P = np.bincount(size_R, weights=y_R) / np.bincount(size_R)
    pure = float(((y_R - mean_P[size_R]) ** 2).sum())
    n, p = len(y_R), len(mean_P)
    if n == p or pure <= 1e-12 * max(1.0, float((y_R**2).sum())):
        return math.nan
    misfit = max(0.0, float((residual_R**2).sum()) - pure)
    return float(special.fdtrc(p - 2, n - p, (misfit / (p - 2)) / (pure / (n - p))))
