"""Uncertainty from predictive samples: dropout, weight posteriors, ensembles.

Legend: S samples, N sources, K classes. All entropies are in nat; divide by ln K for [0, 1].
"""

from __future__ import annotations

import numpy as np
from scipy.special import xlogy

from equirgz.errors import InputError
from equirgz.metrics.check import check_probability, check_target


def check_samples(probability_SNK: np.ndarray) -> np.ndarray:
    """Return predictive samples as checked float64 (S, N, K); see `check_probability` for what is refused."""
    p_SNK = np.asarray(probability_SNK)
    if p_SNK.ndim != 3:
        raise InputError(
            "probability_SNK",
            expected="shape (S, N, K)",
            got=f"shape {p_SNK.shape}",
            mend="a single prediction is probability_NK[None]",
        )
    return check_probability(p_SNK.reshape(-1, p_SNK.shape[-1])).reshape(p_SNK.shape)


def entropy(probability_NK: np.ndarray) -> np.ndarray:
    """Return H_N = -sum_k p_k ln p_k with 0 ln 0 = 0, in [0, ln K]. NaN: refused (InputError)."""
    p_NK = check_probability(probability_NK)
    return -xlogy(p_NK, p_NK).sum(axis=1)


def predictive_entropy(probability_SNK: np.ndarray) -> np.ndarray:
    """Return the entropy of the mean prediction per source: total uncertainty, in [0, ln K]."""
    return entropy(check_samples(probability_SNK).mean(axis=0))


def expected_entropy(probability_SNK: np.ndarray) -> np.ndarray:
    """Return the mean entropy of the samples per source: the part that more data would not remove."""
    p_SNK = check_samples(probability_SNK)
    return -xlogy(p_SNK, p_SNK).sum(axis=2).mean(axis=0)


def mutual_information(probability_SNK: np.ndarray) -> np.ndarray:
    """Return predictive minus expected entropy per source, >= 0: how far the samples disagree (arXiv 1112.5745)."""
    return np.maximum(0.0, predictive_entropy(probability_SNK) - expected_entropy(probability_SNK))


def posterior_error(probability_SNK: np.ndarray, target_N: np.ndarray, mass: float = 1.0) -> np.ndarray:
    """Return per source the share of wrong samples among the central ``mass`` of them, in [0, 1].

    The samples are ordered by the probability of class 0 and (1 - mass) / 2 of them cut at either end, as
    in arXiv 2201.01203 (where mass is 0.64); mass 1 keeps all, and is the only choice for K > 2.
    Raises: InputError for mass outside (0, 1] or unusable input.
    """
    p_SNK = check_samples(probability_SNK)
    target_N = check_target(target_N, *p_SNK.shape[1:])
    if not 0 < mass <= 1 or (mass < 1 and p_SNK.shape[2] > 2):
        raise InputError("mass", expected="a share in (0, 1], 1 for more than two classes", got=mass)
    wrong_SN = p_SNK.argmax(axis=2) != target_N
    if mass == 1:
        return wrong_SN.mean(axis=0)
    first_SN = p_SNK[:, :, 0]
    low_N, high_N = np.quantile(first_SN, [(1 - mass) / 2, (1 + mass) / 2], axis=0)
    inside_SN = (first_SN >= low_N) & (first_SN <= high_N)
    count_N = inside_SN.sum(axis=0)
    return np.where(count_N > 0, (wrong_SN & inside_SN).sum(axis=0) / np.maximum(count_N, 1), wrong_SN.mean(axis=0))
