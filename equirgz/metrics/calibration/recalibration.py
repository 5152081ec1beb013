"""Ways to mend probabilities after training, each fitted on held-out training sources, never on the test set.

:func:`fit_recalibration` fits one by name; what it returns maps logits to probabilities. The table is open
(:class:`equirgz.registry.Registry`): a function from (logits_NK, target_N) to :class:`Recalibration`.

=============  ============================================  ==========================================================
name           law                                           keeps
=============  ============================================  ==========================================================
temperature    softmax(z / T)                                the most probable class (arXiv 1706.04599)
vector         softmax(w * z + b), a w and b per class       nothing but what the fitting sources say (1706.04599)
platt          sigmoid(a (z_1 - z_0) + b)                    the order of sources by log odds where a > 0 (Platt 1999)
isotonic       rising steps of p_1, least squares            the order of sources by p_1, up to ties (Zadrozny 2002)
=============  ============================================  ==========================================================

Of more than two classes Platt's and isotonic are fitted for each class against the rest and divided by their sum.
The first three contain z as it is, so that the mean NLL of the fitting sources does not rise (with two classes).
Isotonic steps of 0 and 1 are kept n + 2 away from certainty (Laplace's rule: none of n seen is 1 of n + 2), which
raises it by at most ln((n + 2) / (n + 1)).
Legend: N sources, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax

from equirgz.errors import require
from equirgz.metrics.calibration.temperature_scaling import apply_temperature, fit_temperature
from equirgz.metrics.check import UndefinedMetricError, check_finite, check_several_classes, check_target
from equirgz.registry import Registry

SMALLEST = 1e-12  # probability whose logarithm is taken for 0
_LARGEST = 200.0  # weight or offset beyond which the fitting sources fix none


@dataclass(frozen=True)
class Recalibration:
    """A fitted way: ``apply`` maps logits_NK to probability_NK; ``value`` is its row ``metric``, in ``unit``."""

    apply: Callable[[np.ndarray], np.ndarray]
    metric: str
    value: float
    unit: str = "nat"


RECALIBRATIONS: Registry[Callable[[np.ndarray, np.ndarray], Recalibration]] = Registry(
    "recalibration", ("equirgz.metrics.calibration.recalibration",)
)


def metric_of(name: str) -> str:
    """Return the metric of the row that tells of a fit: the temperature, of others the mean NLL of their sources."""
    return "calibration/temperature" if name == "temperature" else f"calibration/nll_fitted_{name}"


def fit_recalibration(name: str, logits_NK: np.ndarray, target_N: np.ndarray) -> Recalibration:
    """Return the way called ``name`` fitted on held-out sources.

    NaN: refused. Raises: InputError for unusable logits, labels that disagree with them or an unknown name;
    UndefinedMetricError where the sources fix none: all of one class, or told apart without an error (the NLL then
    falls without end; isotonic is fitted all the same).

    >>> mended = fit_recalibration("platt", [[0.0, 2.0]] * 4 + [[0.0, -2.0]] * 4, [1, 1, 1, 0, 0, 0, 0, 1])
    >>> mended.apply([[0.0, 2.0]]).round(3).tolist()  # 3 of 4 are right
    [[0.25, 0.75]]
    """
    fit = RECALIBRATIONS.get(name)
    logits_NK = check_finite("logits_NK", logits_NK, 2)
    require(logits_NK.shape[1] >= 2, "logits_NK", expected="at least two classes", got=f"shape {logits_NK.shape}")
    target_N = check_target(target_N, *logits_NK.shape)
    check_several_classes(name, target_N)
    return fit(logits_NK, target_N)


@RECALIBRATIONS.register("temperature")
def fit_temperature_scaling(logits_NK: np.ndarray, target_N: np.ndarray) -> Recalibration:
    """Return softmax(z / T) of :func:`equirgz.metrics.calibration.temperature_scaling.fit_temperature`."""
    found = fit_temperature(logits_NK, target_N).value
    return Recalibration(lambda z_NK: apply_temperature(z_NK, found), metric_of("temperature"), found, "1")


@RECALIBRATIONS.register("vector")
def fit_vector(logits_NK: np.ndarray, target_N: np.ndarray) -> Recalibration:
    """Return softmax(w * z + b) of least mean NLL, a convex problem, from w = 1 and b = 0 by L-BFGS."""
    n, k = logits_NK.shape
    one_hot_NK = np.eye(k)[target_N]

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weight_K, offset_K = parameters.reshape(2, k)
        log_p_NK = log_softmax(logits_NK * weight_K + offset_K, axis=1)
        slope_NK = (np.exp(log_p_NK) - one_hot_NK) / n
        return -float((one_hot_NK * log_p_NK).sum()) / n, np.r_[(slope_NK * logits_NK).sum(0), slope_NK.sum(0)]

    start = np.r_[np.ones(k), np.zeros(k)]
    options = {"maxiter": 2000, "ftol": 1e-13, "gtol": 1e-9}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-_LARGEST, _LARGEST)] * 2 * k, options=options)
    if np.abs(found.x).max() >= _LARGEST or found.fun < 1e-9:
        _say_unfixed("vector")
    weight_K, offset_K = found.x.reshape(2, k)
    return _measured(
        "vector", lambda z_NK: np.exp(log_softmax(z_NK * weight_K + offset_K, axis=1)), logits_NK, target_N
    )


@RECALIBRATIONS.register("platt")
def fit_platt(logits_NK: np.ndarray, target_N: np.ndarray) -> Recalibration:
    """Return sigmoid(a s + b) of greatest likelihood, s the log odds of a class against the rest."""
    from sklearn.linear_model import LogisticRegression

    def fit(score_N: np.ndarray, right_N: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        inside, outside = score_N[right_N], score_N[~right_N]
        if inside.min() >= outside.max() or outside.min() >= inside.max():
            _say_unfixed("platt")
        model = LogisticRegression(C=1e12, tol=1e-10, max_iter=10_000).fit(score_N[:, None], right_N)
        a, b = float(model.coef_[0, 0]), float(model.intercept_[0])
        return lambda s_N: expit(a * s_N + b)

    return _by_class("platt", fit, _log_odds, logits_NK, target_N)


@RECALIBRATIONS.register("isotonic")
def fit_isotonic(logits_NK: np.ndarray, target_N: np.ndarray) -> Recalibration:
    """Return the rising steps nearest to what happened, between them straight lines, by pooling adjacent violators."""
    from sklearn.isotonic import IsotonicRegression

    least = 1 / (len(target_N) + 2)

    def fit(score_N: np.ndarray, right_N: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(score_N, right_N)
        return lambda s_N: np.clip(model.predict(s_N), least, 1 - least)

    return _by_class("isotonic", fit, _probability, logits_NK, target_N)


def _log_odds(logits_NK: np.ndarray, k: int) -> np.ndarray:
    rest_NK = np.delete(logits_NK, k, axis=1)
    return logits_NK[:, k] - np.logaddexp.reduce(rest_NK, axis=1)


def _probability(logits_NK: np.ndarray, k: int) -> np.ndarray:
    return np.exp(log_softmax(logits_NK, axis=1)[:, k])


def _by_class(
    name: str,
    fit: Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]],
    score: Callable[[np.ndarray, int], np.ndarray],
    logits_NK: np.ndarray,
    target_N: np.ndarray,
) -> Recalibration:
    """Fit class 1 of two, or each of more that the sources have against the rest; others keep their probability."""
    k = logits_NK.shape[1]
    seen = [1] if k == 2 else [c for c in range(k) if (target_N == c).any()]
    fitted = {c: fit(score(logits_NK, c), target_N == c) for c in seen}

    def apply(z_NK: np.ndarray) -> np.ndarray:
        z_NK = check_finite("logits_NK", z_NK, 2)
        p_NK = np.exp(log_softmax(z_NK, axis=1))
        for c, mend in fitted.items():
            p_NK[:, c] = mend(score(z_NK, c))
        if k == 2:
            p_NK[:, 0] = 1 - p_NK[:, 1]
            return p_NK
        p_NK = np.maximum(p_NK, SMALLEST)
        return p_NK / p_NK.sum(axis=1, keepdims=True)

    return _measured(name, apply, logits_NK, target_N)


def _measured(
    name: str, apply: Callable[[np.ndarray], np.ndarray], logits_NK: np.ndarray, target_N: np.ndarray
) -> Recalibration:
    p_N = apply(logits_NK)[np.arange(len(target_N)), target_N]
    return Recalibration(apply, metric_of(name), float(-np.log(np.maximum(p_N, SMALLEST)).mean()))


def _say_unfixed(name: str) -> None:
    expected, got = "held-out sources that fix it", "classes told apart without an error"
    raise UndefinedMetricError(name, expected=expected, got=got, mend="give more, or leave the network as it is")
