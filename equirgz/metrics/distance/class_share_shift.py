"""Shift of the class shares between data sets. Legend: N sources, K classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2_contingency

from equirgz.errors import InputError
from equirgz.metrics.check import check_probability


@dataclass(frozen=True)
class PriorShift:
    """Total variation distance of two sets of class shares, in [0, 1], and p of "the shares are equal"."""

    distance: float
    p_value: float
    first_K: np.ndarray
    second_K: np.ndarray


def class_prior_shift(count_first_K: np.ndarray, count_second_K: np.ndarray) -> PriorShift:
    """Return sum_k |p_k - q_k| / 2 of the class shares of two labelled sets, and their chi-squared test.

    Classes that neither set holds do not count. Raises: InputError for unequal lengths, negative counts or
    an empty set.
    """
    first_K, second_K = (
        np.asarray(count_first_K, dtype=np.float64),
        np.asarray(count_second_K, dtype=np.float64),
    )
    if first_K.ndim != 1 or first_K.shape != second_K.shape or not np.isfinite([first_K, second_K]).all():
        raise InputError("class counts", expected="two equally long lists", got=(first_K.shape, second_K.shape))
    if min(first_K.min(), second_K.min()) < 0 or 0 in (first_K.sum(), second_K.sum()):
        raise InputError("class counts", expected=">= 0 and not all 0", got="negative or empty")
    used = first_K + second_K > 0
    p_value = 1.0
    if used.sum() > 1:
        p_value = float(chi2_contingency(np.stack([first_K[used], second_K[used]]), correction=False).pvalue)
    p_K, q_K = first_K / first_K.sum(), second_K / second_K.sum()
    return PriorShift(float(np.abs(p_K - q_K).sum() / 2), p_value, p_K, q_K)


def estimate_class_shares(
    probability_NK: np.ndarray,
    train_share_K: np.ndarray,
    *,
    max_steps: int = 10_000,
    tolerance: float = 1e-10,
) -> np.ndarray:
    """Return the class shares of an unlabelled set that best explain a classifier's answers on it.

    Expectation maximisation of Saerens et al. (2002): q_k <- mean_i of p_ik q_k / t_k, normalised per
    source, t the shares of the training set. Right where only the shares changed and the
    classifier is calibrated. NaN: refused. Raises: InputError for unusable shares.
    """
    p_NK = check_probability(probability_NK)
    t_K = np.asarray(train_share_K, dtype=np.float64)
    if t_K.shape != p_NK.shape[1:] or not (t_K > 0).all() or abs(t_K.sum() - 1) > 1e-6:
        raise InputError("train_share_K", expected=f"{p_NK.shape[1]} shares > 0 that sum to 1", got=t_K.tolist())
    q_K = t_K.copy()
    for _ in range(max_steps):
        weighted_NK = p_NK * (q_K / t_K)
        total_N1 = weighted_NK.sum(axis=1, keepdims=True)
        new_K = np.divide(weighted_NK, total_N1, out=np.zeros_like(weighted_NK), where=total_N1 > 0).mean(axis=0)
        new_K /= new_K.sum()
        done = np.abs(new_K - q_K).max() < tolerance
        q_K = new_K
        if done:
            break
    return q_K
