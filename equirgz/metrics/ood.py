"""Telling sources of another kind: energy score and AUROC. Legend: N inside, M outside, K classes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm, rankdata

from equirgz.errors import InputError, explain
from equirgz.metrics.check import check_finite
from equirgz.metrics.interval import check_level


def energy_score(logits_NK: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return E_N = -T ln sum_k exp(logit_k / T): high where no class claims the source (arXiv 2010.03759).

    For predictive samples, average the scores over samples. NaN: refused. Raises: InputError for T <= 0.
    """
    logits_NK = check_finite("logits_NK", logits_NK, 2)
    if not temperature > 0:
        raise InputError(explain("temperature", expected="> 0", got=temperature))
    return -temperature * logsumexp(logits_NK / temperature, axis=1)


@dataclass(frozen=True)
class Auroc:
    """Area under the ROC curve with DeLong's interval (NaN where a set has one source), in [0, 1]."""

    value: float
    low: float
    high: float
    n_inside: int
    n_outside: int


def auroc(score_inside_N: np.ndarray, score_outside_M: np.ndarray, level: float = 0.95) -> Auroc:
    """Return P(outside > inside) + P(equal) / 2: 0.5 is chance, 1 tells every outsider by its higher score.

    The interval is Normal with DeLong's variance. NaN: refused. Raises: InputError for an empty set.
    """
    inside_N = check_finite("scores inside", score_inside_N, 1)
    outside_M = check_finite("scores outside", score_outside_M, 1)
    check_level(level)
    n, m = len(inside_N), len(outside_M)
    rank = rankdata(np.r_[outside_M, inside_N])
    beaten_M = (rank[:m] - rankdata(outside_M)) / n  # share of inside below each outside source
    beating_N = 1 - (rank[m:] - rankdata(inside_N)) / m
    value = float(beaten_M.mean())
    if min(n, m) < 2:
        return Auroc(value, math.nan, math.nan, n, m)
    half = norm.ppf((1 + level) / 2) * math.sqrt(beaten_M.var(ddof=1) / m + beating_N.var(ddof=1) / n)
    return Auroc(value, float(max(0.0, value - half)), float(min(1.0, value + half)), n, m)


def false_positive_rate(
    score_inside_N: np.ndarray, score_outside_M: np.ndarray, recall: float = 0.95
) -> float:
    """Return the share of inside sources flagged when at least ``recall`` of the outside ones are (score >= cut)."""
    inside_N = check_finite("scores inside", score_inside_N, 1)
    outside_M = np.sort(check_finite("scores outside", score_outside_M, 1))[::-1]
    if not 0 < recall <= 1:
        raise InputError(explain("recall", expected="a share in (0, 1]", got=recall))
    cut = outside_M[math.ceil(recall * len(outside_M) - 1e-9) - 1]
    return float((inside_N >= cut).mean())
