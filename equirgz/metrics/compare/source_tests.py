"""Comparing two classifiers on the same test sources, and how many sources a difference needs.

Legend: N sources, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from equirgz.errors import InputError
from equirgz.metrics.check import check_predictions
from equirgz.metrics.compare.bootstrap import BootstrapInterval, bootstrap_interval


@dataclass(frozen=True)
class McNemarTest:
    """Exact two-sided McNemar test. ``only_first``: sources that only the first classifier gets wrong.

    ``difference_percent``: error of the first minus that of the second, in per cent.
    """

    only_first: int
    only_second: int
    n: int
    difference_percent: float
    p_value: float


def mcnemar_test(wrong_first_N: np.ndarray, wrong_second_N: np.ndarray) -> McNemarTest:
    """Return the exact test that two classifiers err equally often on the same sources.

    Only sources on which they disagree tell: under equality the count wrong by the first alone is
    Binomial(b + c, 1/2), and p = min(1, 2 P(X <= min(b, c))). No disagreement gives p = 1.
    Raises: InputError for unequal lengths, no source, or values that are not true or false.
    """
    first_N, second_N = np.asarray(wrong_first_N), np.asarray(wrong_second_N)
    if first_N.shape != second_N.shape or first_N.ndim != 1 or len(first_N) == 0:
        raise InputError("wrong sources", expected="two equal, non-empty lists", got=(first_N.shape, second_N.shape))
    if not (np.isin(first_N, (0, 1)).all() and np.isin(second_N, (0, 1)).all()):
        raise InputError("wrong sources", expected="true or false per source", got="other values")
    b = int(((first_N == 1) & (second_N == 0)).sum())
    c = int(((first_N == 0) & (second_N == 1)).sum())
    p_value = min(1.0, 2 * float(special.bdtr(min(b, c), b + c, 0.5))) if b + c else 1.0
    return McNemarTest(b, c, len(first_N), 100 * (b - c) / len(first_N), p_value)


def paired_bootstrap(
    function: Callable[[np.ndarray, np.ndarray], float],
    first_NK: np.ndarray,
    second_NK: np.ndarray,
    target_N: np.ndarray,
    *,
    n_draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> BootstrapInterval:
    """Return function(first) - function(second) with an interval from redrawing the shared sources.

    Args: function: a metric (probability_NK, target_N) -> float. The interval excludes 0 where the
    difference would survive other test sources; it says nothing of other seeds.
    NaN: refused. Raises: InputError for predictions that disagree in shape or are unusable.
    """
    p_NK, target_N = check_predictions(first_NK, target_N)
    q_NK, _ = check_predictions(second_NK, target_N)
    if p_NK.shape != q_NK.shape:
        raise InputError("second_NK", expected=f"shape {p_NK.shape}", got=f"shape {q_NK.shape}")
    return bootstrap_interval(
        lambda a, b, y: function(a, y) - function(b, y),
        p_NK,
        q_NK,
        target_N,
        n_draws=n_draws,
        level=level,
        seed=seed,
    )


def required_sources(
    difference_percent: float,
    disagreement_percent: float | None = None,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
) -> int:
    """Return how many test sources a two-sided McNemar test needs to see a difference of error rates.

    n = (z_{1-alpha/2} sqrt(d) + z_{power} sqrt(d - delta^2))^2 / delta^2, with delta the difference and d the
    share of sources on which the two classifiers disagree (right and wrong), as shares (Connor 1987).
    Args: disagreement_percent: None takes the least possible, d = delta: a lower bound on n.
    Raises: InputError for a difference outside (0, 100], d < delta, or power or alpha outside (0, 1).

    >>> required_sources(1.0, 5.0)
    3923
    """
    delta = abs(difference_percent) / 100
    d = delta if disagreement_percent is None else disagreement_percent / 100
    if not 0 < delta <= 1 or not delta <= d <= 1:
        raise InputError(
            "difference, disagreement",
            expected="0 < difference <= disagreement <= 100 %",
            got=f"{difference_percent}, {disagreement_percent}",
        )
    if not (0 < power < 1 and 0 < alpha < 1):
        raise InputError("power, alpha", expected="shares inside (0, 1)", got=f"{power}, {alpha}")
    z = special.ndtri(1 - alpha / 2) * math.sqrt(d) + special.ndtri(power) * math.sqrt(d - delta**2)
    return math.ceil(z**2 / delta**2 - 1e-9)
