"""Selective prediction: error among the sources that the model is surest of. Legend: N sources."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equirgz.errors import InputError
from equirgz.metrics.check import check_finite


@dataclass(frozen=True)
class RiskCoverage:
    """coverage_N: 1/N .. 1; risk_N: error rate (share) of that many surest sources; area: mean risk (AURC).

    ``excess_area`` is the area minus that of a model that ranks all its wrong sources last.
    """

    coverage_N: np.ndarray
    risk_N: np.ndarray
    area: float
    excess_area: float


def risk_coverage(confidence_N: np.ndarray, wrong_N: np.ndarray) -> RiskCoverage:
    """Return the risk-coverage curve of sources taken from the highest confidence down (arXiv 1705.08500).

    Sources of equal confidence come in random order, and the curve is the mean over all orders, so it
    does not depend on the order of the input. NaN: refused.
    Raises: InputError for unequal lengths or ``wrong_N`` outside [0, 1].
    """
    confidence_N, wrong_N = check_finite("confidence_N", confidence_N, 1), check_finite("wrong_N", wrong_N, 1)
    if len(confidence_N) != len(wrong_N) or wrong_N.min() < 0 or wrong_N.max() > 1:
        raise InputError("wrong_N", expected=f"{len(confidence_N)} values in [0, 1]", got=f"{len(wrong_N)} values")
    _, group_N = np.unique(-confidence_N, return_inverse=True)
    mean_wrong_G = np.bincount(group_N, weights=wrong_N) / np.bincount(group_N)
    count_N = np.arange(1, len(wrong_N) + 1)
    risk_N = np.cumsum(mean_wrong_G[np.sort(group_N)]) / count_N
    ideal_N = np.cumsum(np.sort(wrong_N)) / count_N
    return RiskCoverage(count_N / len(wrong_N), risk_N, float(risk_N.mean()), float(risk_N.mean() - ideal_N.mean()))
