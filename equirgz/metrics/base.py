"""What a metric is, the registry of all classification metrics, and the one call that computes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from equirgz.metrics.check import UndefinedMetricError, check_predictions
from equirgz.records import finite_or_none
from equirgz.registry import Registry

Direction = Literal["lower", "higher", "none"]
MetricFunction = Callable[[np.ndarray, np.ndarray], float]
TermsFunction = Callable[[np.ndarray, np.ndarray], np.ndarray]
Combine = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Terms:
    """A metric as a function of averages over sources, ``combine(mean_i of_sources_iJ)``, so that redraws are fast.

    of_sources: (probability_NK, target_N) -> (N, J), J numbers of each source. combine: (..., J) -> (...).
    """

    of_sources: TermsFunction
    combine: Combine

    def redraw(self, terms_NJ: np.ndarray, index_DN: np.ndarray) -> np.ndarray:
        """Return the metric of each of D draws of sources."""
        return self.combine(terms_NJ[index_DN].mean(axis=1))


def alone(mean_J: np.ndarray) -> np.ndarray:
    """Return the one average of a metric that is an average."""
    return mean_J[..., 0]


@dataclass(frozen=True)
class Metric:
    """A number computed from class probabilities and labels.

    Attributes: name: ``family/name``. unit: "1", "%", "nat". direction: which way is better, "none"
    for a number that is context and not merit. function: (probability_NK, target_N) -> float on
    checked arrays. lowest, highest: ends of its range, where its intervals end too. terms: where it is a function
    of averages over sources, how so. Calling the metric checks its input first.
    """

    name: str
    unit: str
    direction: Direction
    function: MetricFunction
    lowest: float = -math.inf
    highest: float = math.inf
    terms: Terms | None = None

    def __call__(self, probability_NK: np.ndarray, target_N: np.ndarray) -> float:
        """Return the metric of ``probability_NK`` (N, K) against ``target_N`` (N,)."""
        return float(self.function(*check_predictions(probability_NK, target_N)))


METRICS: Registry[Metric] = Registry(
    "metric",
    (
        "equirgz.metrics.error",
        "equirgz.metrics.calibration.ece",
        "equirgz.metrics.calibration.brier",
        "equirgz.metrics.calibration.debiased",
        "equirgz.metrics.calibration.smooth",
    ),
)


def metric(
    name: str,
    *,
    unit: str,
    direction: Direction,
    lowest: float = -math.inf,
    highest: float = math.inf,
    terms: Terms | None = None,
) -> Callable[[MetricFunction], MetricFunction]:
    """Return a decorator that registers ``function`` as the metric ``name`` and leaves it as it is."""

    def enter(function: MetricFunction) -> MetricFunction:
        METRICS.register(name)(Metric(name, unit, direction, function, lowest, highest, terms))
        return function

    return enter


def find_range(function: Callable[..., float]) -> tuple[float, float]:
    """Return the range of a registered metric's function, the whole line for any other."""
    found = (METRICS.get(name) for name in METRICS.names("*"))
    return next(((m.lowest, m.highest) for m in found if m.function is function), (-math.inf, math.inf))


def compute_metrics(
    probability_NK: np.ndarray, target_N: np.ndarray, names: str | list[str] = "*"
) -> list[dict[str, Any]]:
    """Return one row (metric, value, unit, direction, n) per registered metric, sorted by name.

    Args: probability_NK: (N, K) class probabilities, rows sum to 1. target_N: (N,) class indices.
    names: a shell-style pattern, or a list of metric names.
    A number that does not exist for this input (infinite, fewer sources than bins, a class without
    sources) has value None. Raises: InputError for unusable input or an unknown name.

    >>> [row["value"] for row in compute_metrics([[0.8, 0.2], [0.4, 0.6]], [0, 0], ["error/rate"])]
    [50.0]
    """
    p_NK, target_N = check_predictions(probability_NK, target_N)
    rows = []
    for name in METRICS.names(names) if isinstance(names, str) else names:
        entry = METRICS.get(name)
        try:
            value = finite_or_none(entry.function(p_NK, target_N))
        except UndefinedMetricError:
            value = None
        rows.append(
            {
                "metric": name,
                "value": value,
                "unit": entry.unit,
                "direction": entry.direction,
                "n": len(target_N),
            }
        )
    return rows


def format_value(row: Mapping[str, Any], digits: int = 3) -> str:
    """Return the value of a row with its unit, which is left out where it is 1; "not defined" where there is no value.

    >>> format_value({"value": 40.0, "unit": "%"}), format_value({"value": 0.47194, "unit": "1"})
    ('40 %', '0.472')
    >>> format_value({"value": None, "unit": "nat"})
    'not defined'
    """
    if row["value"] is None:
        return "not defined"
    return f"{row['value']:.{digits}g}" + ("" if row["unit"] == "1" else f" {row['unit']}")
