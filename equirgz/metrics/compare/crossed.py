"""A difference measured by several seeds on the same sources: test over both at once.

Legend: R runs (seeds), S test sources.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from equirgz.metrics.check import check_finite
from equirgz.metrics.interval import check_level


@dataclass(frozen=True)
class CrossedTest:
    """Mean difference with interval and two-sided p over other seeds AND other sources.

    ``effect_size``: mean over the deviation between seeds (NaN where they show none).
    ``p_value`` and ``half_width`` are NaN where nothing varies.
    """

    mean: float
    half_width: float
    p_value: float
    degrees_of_freedom: float
    effect_size: float
    n_runs: int
    n_sources: int


def crossed_test(difference_RS: np.ndarray, level: float = 0.95) -> CrossedTest:
    """Return the test that the mean of paired differences is zero, for new seeds and new sources.

    difference_RS[r, s] = loss of one model - loss of the other, seed r, source s (for error rates:
    -1, 0 or 1). With V_R the variance over seeds of the mean over sources, and V_S the other way round,

        variance of the mean = V_R / R + V_S / S,

    which counts the interaction of both twice and so errs on the side of caution; degrees of freedom by
    Satterthwaite (simulated false alarms at three seeds: 1 to 6.5 % where 5 % are promised). With one seed
    only sources are tested. The idea: a test over seeds alone promises nothing for another test set, and
    one over sources alone nothing for another training.
    NaN: refused. Raises: InputError for fewer than two sources. Source: Owen (2007), crossed random effects.
    """
    d_RS = check_finite("difference_RS", difference_RS, 2)
    check_level(level)
    check_finite("differences per source", d_RS.T, 2, 2)
    n_runs, n_sources = d_RS.shape
    over_sources = float(d_RS.mean(axis=0).var(ddof=1)) / n_sources
    over_runs = float(d_RS.mean(axis=1).var(ddof=1)) / n_runs if n_runs > 1 else 0.0
    variance, mean = over_sources + over_runs, float(d_RS.mean())
    spread = math.sqrt(over_runs * n_runs)
    effect = mean / spread if spread > 0 else math.nan
    if variance <= 0:
        return CrossedTest(mean, math.nan, math.nan, math.nan, effect, n_runs, n_sources)
    parts = over_sources**2 / (n_sources - 1) + (over_runs**2 / (n_runs - 1) if n_runs > 1 else 0.0)
    freedom = variance**2 / parts
    half = float(special.stdtrit(freedom, (1 + level) / 2)) * math.sqrt(variance)
    p_value = 2 * float(special.stdtr(freedom, -abs(mean) / math.sqrt(variance)))
    return CrossedTest(mean, half, p_value, freedom, effect, n_runs, n_sources)
