"""Paired tests over seeds, and Holm's correction for many of them. Legend: R paired runs, T tests."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from equirgz.errors import InputError
from equirgz.metrics.check import check_finite


@dataclass(frozen=True)
class PairedTest:
    """Outcome of a two-sided paired test of a - b.

    ``effect_size`` is Cohen's d of the differences (mean / sample deviation). ``p_value`` is NaN where
    the pairs cannot tell: fewer than two, or differences that are all equal and so show no spread.
    """

    mean_difference: float
    effect_size: float
    p_value: float
    n: int


def _differences(a_R: np.ndarray, b_R: np.ndarray) -> np.ndarray:
    a_R, b_R = check_finite("first values", a_R, 1), check_finite("second values", b_R, 1)
    if len(a_R) != len(b_R):
        raise InputError("paired values", expected="as many second as first", got=f"{len(a_R)} and {len(b_R)}")
    return a_R - b_R


def _has_spread(difference_R: np.ndarray) -> bool:
    """True where the differences differ by more than rounding."""
    return len(difference_R) > 1 and np.ptp(difference_R) > 1e-9 * max(np.abs(difference_R).max(), 1e-300)


def _effect_size(difference_R: np.ndarray) -> float:
    return float(difference_R.mean() / difference_R.std(ddof=1)) if _has_spread(difference_R) else math.nan


def paired_t_test(a_R: np.ndarray, b_R: np.ndarray) -> PairedTest:
    """Return Student's paired t-test of runs that share seeds: t = mean(d) sqrt(R) / s(d), d = a - b.

    Error rates are multiples of one source, so a few seeds can give exactly equal differences; their
    t is infinite and means nothing, and the test then abstains (p_value NaN).
    NaN: refused. Raises: InputError for unequal lengths or no values.
    """
    d_R = _differences(a_R, b_R)
    n, effect = len(d_R), _effect_size(d_R)
    p_value = 2 * float(special.stdtr(n - 1, -abs(effect) * math.sqrt(n)))  # NaN where the effect is
    return PairedTest(float(d_R.mean()), effect, p_value, n)


def paired_wilcoxon_test(a_R: np.ndarray, b_R: np.ndarray) -> PairedTest:
    """Return Wilcoxon's signed-rank test of a - b; exact where no difference is tied or zero.

    Its smallest two-sided p is 2 / 2^R: below six pairs it can never reach 5 %.
    NaN: refused. Raises: InputError for unequal lengths or no values.
    """
    from scipy import stats

    d_R = _differences(a_R, b_R)
    p_value = float(stats.wilcoxon(d_R, zero_method="pratt").pvalue) if (d_R != 0).any() else math.nan
    return PairedTest(float(d_R.mean()), _effect_size(d_R), p_value, len(d_R))


def adjust_holm(p_value_T: np.ndarray) -> np.ndarray:
    """Return Holm's step-down adjusted p-values: max over j <= i of min(1, (T - j) p_(j)), j from 0.

    NaN marks a test that abstained: it stays NaN and is not counted.
    Raises: InputError for values outside [0, 1].

    >>> adjust_holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    p_T = np.asarray(p_value_T, dtype=np.float64)
    told_T = ~np.isnan(p_T)
    if p_T.ndim != 1 or (p_T[told_T] < 0).any() or (p_T[told_T] > 1).any():
        raise InputError("p-values", expected="one axis, values in [0, 1]", got=f"shape {p_T.shape}")
    adjusted_T = np.full(p_T.shape, np.nan)
    known = p_T[told_T]
    order = known.argsort(kind="stable")
    steps = np.maximum.accumulate(np.minimum(1.0, known[order] * np.arange(len(known), 0, -1)))
    filled = np.empty(len(known))
    filled[order] = steps
    adjusted_T[told_T] = filled
    return adjusted_T
