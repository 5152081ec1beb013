"""Temperature scaling: one number, fitted on validation sources, never on the test set (arXiv 1706.04599).

Legend: N sources, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from equirgz.errors import InputError
from equirgz.metrics.check import UndefinedMetricError, check_finite, check_several_classes, check_target

LOG_RANGE = (-5.0, 5.0)  # temperatures from 0.0067 to 148


@dataclass(frozen=True)
class Temperature:
    """A fitted temperature, with the mean NLL (nat) of the ``n`` validation sources at T = 1 and at ``value``."""

    value: float
    nll_before: float
    nll_after: float
    n: int


def apply_temperature(logits_NK: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return softmax(logits / T) as probability_NK; the class of highest logit never changes.

    NaN: refused. Raises: InputError for T <= 0 or unusable logits.
    """
    logits_NK = check_finite("logits_NK", logits_NK, 2)
    if not (np.isfinite(temperature) and temperature > 0):
        raise InputError("temperature", expected="a number > 0", got=temperature)
    return np.exp(log_softmax(logits_NK / temperature, axis=1))


def fit_temperature(logits_NK: np.ndarray, target_N: np.ndarray) -> Temperature:
    """Return the T that minimises the mean NLL of softmax(logits / T) on validation sources.

    The NLL is convex in 1/T, so the minimum over ln T is unique. NaN: refused.
    Raises: InputError for unusable logits (probabilities are taken for what they are not: give logits)
    or labels that disagree with them. UndefinedMetricError where no T is best: all sources are of one class, or
    the NLL falls to the end of the range (every source is right: T to 0; the logits carry nothing: T to infinity).

    >>> z = [[2.0, 0.0]] * 4
    >>> round(fit_temperature(z, [0, 0, 0, 1]).value, 3)  # 3 of 4 right: sigmoid(2 / T) = 3/4
    1.82
    """
    logits_NK = check_finite("logits_NK", logits_NK, 2)
    if logits_NK.shape[1] < 2:
        raise InputError("logits_NK", expected="at least two classes", got=f"shape {logits_NK.shape}")
    if (logits_NK >= 0).all() and np.allclose(logits_NK.sum(axis=1), 1, atol=1e-6):
        raise InputError(
            "logits_NK",
            expected="logits",
            got="rows in [0, 1] that sum to 1",
            mend="these look like probabilities, take their logarithm",
        )
    target_N = check_target(target_N, *logits_NK.shape)
    check_several_classes("temperature", target_N)

    def nll(log_temperature: float) -> float:
        log_p_NK = log_softmax(logits_NK * np.exp(-log_temperature), axis=1)
        return float(-log_p_NK[np.arange(len(target_N)), target_N].mean())

    found = minimize_scalar(nll, bounds=LOG_RANGE, method="bounded", options={"xatol": 1e-8})
    low, high = map(nll, LOG_RANGE)
    if min(low, high) <= found.fun + 1e-9:  # no better inside the range than at its end
        expected = "validation sources that fix it"
        got = "all of them right (T to 0)" if low < high else "logits that tell nothing (T to infinity)"
        raise UndefinedMetricError("temperature", expected=expected, got=got, mend="leave it at 1")
    return Temperature(float(np.exp(found.x)), nll(0.0), float(found.fun), len(target_N))
