"""Mean and Student-t interval over repeated runs. Legend: R runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from equirgz.errors import InputError, require
from equirgz.metrics.check import check_finite


@dataclass(frozen=True)
class MeanInterval:
    """A mean over ``n`` runs and its interval; ``half_width`` is NaN where the runs tell no spread."""

    mean: float
    half_width: float
    n: int

    @property
    def low(self) -> float:
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        return self.mean + self.half_width


def student_interval(value_R: np.ndarray, level: float = 0.95) -> MeanInterval:
    """Return mean and half-width t_{(1+level)/2, R-1} s / sqrt(R), s the sample deviation of the runs.

    The interval is for the mean over all seeds, on this very test set; it knows nothing of the
    sources that were not drawn. It is symmetric and may reach below 0 or above 100 %. The half-width is NaN, and
    never 0, for one run and for runs that all gave one value: neither tells a spread.
    NaN: refused. Raises: InputError for no value or a level outside (0, 1).

    >>> student_interval([1.0, 2.0, 3.0]).mean
    2.0
    """
    value_R = check_finite("values of the runs", value_R, 1)
    check_level(level)
    n = len(value_R)
    if np.ptp(value_R) == 0:
        return MeanInterval(float(value_R[0]), math.nan, n)
    half = special.stdtrit(n - 1, (1 + level) / 2) * value_R.std(ddof=1) / math.sqrt(n)
    return MeanInterval(float(value_R.mean()), float(half), n)


def check_level(level: float) -> float:
    """Return ``level`` when it lies inside (0, 1), else raise InputError."""
    require(0 < level < 1, "level", expected="a number inside (0, 1), e.g. 0.95", got=level)
    return float(level)


def wilson_interval(n_right: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion ``n_right / n``, inside [0, 1] at every n >= 1.

    centre and half-width: (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n).
    Raises: InputError for n <= 0 or n_right outside [0, n].
    """
    check_level(level)
    if not n > 0 or not 0 <= n_right <= n:
        raise InputError("counts", expected="0 <= n_right <= n, n > 0", got=f"{n_right} of {n}")
    z, p = special.ndtri((1 + level) / 2), n_right / n
    centre = p + z**2 / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = (centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)
    return float(max(0.0, low)) if n_right > 0 else 0.0, float(min(1.0, high)) if n_right < n else 1.0


def interval_without_spread(
    value: float, n: float, lowest: float, highest: float, level: float = 0.95
) -> tuple[float, float]:
    """Return the interval of a mean over ``n`` sources that all gave one number; (NaN, NaN) without a finite range.

    Wilson's interval of the share (value - lowest) / (highest - lowest): of all numbers in that range with this
    mean, a share spreads most. Raises: InputError for n <= 0 or a value outside the range.

    >>> [round(end, 1) for end in interval_without_spread(0.0, 104, 0.0, 100.0)]
    [0.0, 3.6]
    """
    width = highest - lowest
    if not math.isfinite(width):
        return math.nan, math.nan
    low, high = wilson_interval(min(max(value - lowest, 0.0), width) / width * n, n, level)
    return lowest + width * low, lowest + width * high
