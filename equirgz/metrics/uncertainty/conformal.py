"""Conformal prediction sets: sets of classes that hold the truth with a promised probability.

Split conformal on sources that were not trained on. Legend: N sources, K classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from equirgz.errors import InputError, check_choice, require
from equirgz.metrics.check import check_predictions, check_probability, check_target
from equirgz.metrics.interval import wilson_interval

Score = Literal["threshold", "adaptive"]


@dataclass(frozen=True)
class ConformalRule:
    """A class belongs to the set where its score is at most ``limit`` (infinite: every class always)."""

    limit: float
    coverage: float
    score: Score
    n_calibration: int


def _scores(p_NK: np.ndarray, score: Score) -> np.ndarray:
    """Return the score of every class: 1 - p, or the probability mass of all classes at least as probable."""
    if score == "threshold":
        return 1 - p_NK
    return ((p_NK[:, None, :] >= p_NK[:, :, None]) * p_NK[:, None, :]).sum(axis=2)


def fit_conformal(
    probability_NK: np.ndarray, target_N: np.ndarray, coverage: float = 0.9, score: Score = "threshold"
) -> ConformalRule:
    """Return the rule whose sets hold the true class of a new source with probability >= ``coverage``.

    limit = the ceil((N + 1) coverage)-th smallest score of the true classes of N calibration sources,
    which must be exchangeable with the new ones. With too few of them (N < coverage / (1 - coverage)) the
    limit is infinite and every set is full. score: "threshold" gives the smallest sets on average (Sadinle et
    al. 2019), "adaptive" spreads the risk more evenly (arXiv 2006.02544, without its randomisation).
    NaN: refused. Raises: InputError for coverage outside (0, 1) or unusable input.
    """
    check_choice("conformal score", score, ("threshold", "adaptive"))
    require(0 < coverage < 1, "coverage", expected="a share inside (0, 1)", got=coverage)
    p_NK, target_N = check_predictions(probability_NK, target_N)
    n = len(target_N)
    rank = math.ceil((n + 1) * coverage - 1e-9)
    true_N = np.sort(_scores(p_NK, score)[np.arange(n), target_N])
    return ConformalRule(float(true_N[rank - 1]) if rank <= n else math.inf, coverage, score, n)


def predict_sets(rule: ConformalRule, probability_NK: np.ndarray) -> np.ndarray:
    """Return member_NK, True where class k belongs to the set of a source. A set may be empty. NaN: refused."""
    return _scores(check_probability(probability_NK), rule.score) <= rule.limit + 1e-12


@dataclass(frozen=True)
class SetQuality:
    """Coverage of the sets with its Wilson interval, their mean size, and the shares that are empty or single."""

    coverage: float
    low: float
    high: float
    mean_size: float
    empty: float
    single: float
    n: int


def measure_sets(member_NK: np.ndarray, target_N: np.ndarray) -> SetQuality:
    """Return how often the sets hold the truth and how large they are. Raises: InputError for unusable input."""
    member_NK = np.asarray(member_NK)
    if member_NK.ndim != 2 or member_NK.dtype != bool or len(member_NK) == 0:
        raise InputError("member_NK", expected="a boolean (N, K) array", got=f"{member_NK.dtype} {member_NK.shape}")
    target_N = check_target(target_N, *member_NK.shape)
    held_N, size_N = member_NK[np.arange(len(target_N)), target_N], member_NK.sum(axis=1)
    low, high = wilson_interval(float(held_N.sum()), len(target_N))
    return SetQuality(
        float(held_N.mean()),
        low,
        high,
        float(size_N.mean()),
        float((size_N == 0).mean()),
        float((size_N == 1).mean()),
        len(target_N),
    )
