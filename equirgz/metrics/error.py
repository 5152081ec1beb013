"""Error rates and the negative log-likelihood. Legend: N sources, K classes."""

from __future__ import annotations

import numpy as np

from equirgz.metrics.base import Terms, alone, metric
from equirgz.metrics.check import UndefinedMetricError, check_predictions

#: the name of the share of wrong answers, the headline of classes
ERROR_RATE = "error/rate"


def wrong_N1(p_NK: np.ndarray, target_N: np.ndarray) -> np.ndarray:
    """Return 1.0 for each source whose most probable class is wrong."""
    return (p_NK.argmax(axis=1) != target_N)[:, None].astype(np.float64)


def surprise_N1(p_NK: np.ndarray, target_N: np.ndarray) -> np.ndarray:
    """Return -ln p(target) of each source, in nat."""
    with np.errstate(divide="ignore"):
        return -np.log(p_NK[np.arange(len(target_N)), target_N])[:, None]


@metric(
    ERROR_RATE,
    unit="%",
    direction="lower",
    lowest=0,
    highest=100,
    terms=Terms(wrong_N1, lambda mean_J: 100 * mean_J[..., 0]),
)
def error_rate(probability_NK: np.ndarray, target_N: np.ndarray) -> float:
    """Return 100 x the share of sources whose most probable class is wrong, in per cent.

    Equal probabilities go to the class of lower index. One source of N is worth 100 / N per cent.
    NaN: refused. Raises: InputError for unusable input.
    """
    p_NK, target_N = check_predictions(probability_NK, target_N)
    return float(100 * np.mean(wrong_N1(p_NK, target_N)))


@metric("error/balanced", unit="%", direction="lower", lowest=0, highest=100)
def balanced_error_rate(probability_NK: np.ndarray, target_N: np.ndarray) -> float:
    """Return the mean over all K classes of the error rate of each class's sources, in per cent.

    NaN: refused. Raises: InputError for unusable input; UndefinedMetricError where a class has no source.
    """
    p_NK, target_N = check_predictions(probability_NK, target_N)
    missing = np.flatnonzero(np.bincount(target_N, minlength=p_NK.shape[1]) == 0)
    if len(missing):
        raise UndefinedMetricError(
            "class-balanced error",
            expected=f"a source of each of {p_NK.shape[1]} classes",
            got=f"none of class {missing[0]}",
            mend="use the error rate",
        )
    wrong_N = p_NK.argmax(axis=1) != target_N
    return float(100 * np.mean([wrong_N[target_N == k].mean() for k in np.unique(target_N)]))


@metric("nll/mean", unit="nat", direction="lower", lowest=0, terms=Terms(surprise_N1, alone))
def mean_nll(probability_NK: np.ndarray, target_N: np.ndarray) -> float:
    """Return -mean_i ln p_i(target_i), in nat; infinite where a true class was given probability 0.

    Nothing is clipped: a model that excludes the truth deserves infinity, and a row stores it as an
    empty value. NaN: refused. Raises: InputError for unusable input.
    """
    p_NK, target_N = check_predictions(probability_NK, target_N)
    return float(surprise_N1(p_NK, target_N).mean() + 0.0)
