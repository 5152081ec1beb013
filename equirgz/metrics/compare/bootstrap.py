"""Bootstrap intervals over test sources. Legend: N sources, K classes, D draws."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from equirgz.errors import InputError, check_choice, require
from equirgz.metrics.base import METRICS
from equirgz.metrics.check import UndefinedMetricError, check_predictions
from equirgz.metrics.interval import check_level, interval_without_spread
from equirgz.records import finite_or_none
from equirgz.seeding import derive_seed

_DRAWN_AT_ONCE = 200_000  # sources of several draws that are looked at together
NO_SPREAD = 1e-12  # what rounding alone may spread draws of one number by
Method = Literal["percentile", "basic"]


@dataclass(frozen=True)
class BootstrapInterval:
    """A number, its interval, the bootstrap's estimate of its bias, and the draws that gave a number.

    ``low`` and ``high`` are NaN where the draws tell no spread and the number has no finite range.
    """

    value: float
    low: float
    high: float
    bias: float
    n_draws: int


def bootstrap_interval(
    function: Callable[..., float],
    *arrays: np.ndarray,
    n_draws: int = 1000,
    level: float = 0.95,
    method: Method = "percentile",
    cluster_N: np.ndarray | None = None,
    lowest: float = -math.inf,
    highest: float = math.inf,
    seed: int = 0,
    redraw: Callable[[np.ndarray], np.ndarray] | None = None,
) -> BootstrapInterval:
    """Return function(*arrays) with an interval from redrawing the N entries of all arrays together.

    Args: arrays: each has N entries along its first axis. cluster_N: entries with equal values (the
    seeds of one source) are drawn together. method: "percentile" takes the quantiles of the draws;
    "basic" mirrors them about the value, 2 value - quantile, which also takes the bias out and is
    right for numbers that redrawing inflates, such as an ECE. lowest, highest: ends of the number's range, at
    which the interval ends. An interval is never of zero width: where all draws agree it is Wilson's over that
    range (:func:`equirgz.metrics.interval.interval_without_spread`; 0 of 104 wrong is 0 [0, 3.6] %), and one
    mirrored out of the range reaches from the range's end to the value.
    redraw: index_DN -> the function's values for D draws at once, where that is faster; it serves entries that are
    drawn alone. Draws for which ``function`` is not defined (UndefinedMetricError, NaN, infinity) are left out.
    Raises: InputError for no or unequal arrays, n_draws < 10, or fewer than half of the draws defined.
    Source: Efron & Tibshirani (1993).
    """
    check_level(level)
    check_choice("bootstrap method", method, ("percentile", "basic"))
    lengths = sorted({len(np.asarray(array)) for array in arrays})
    if len(lengths) != 1 or lengths[0] == 0:
        raise InputError("bootstrap arrays", expected="arrays of one length above 0", got=f"lengths {lengths}")
    require(n_draws >= 10, "n_draws", expected=">= 10", got=n_draws)
    arrays = tuple(np.asarray(array) for array in arrays)
    members = _cluster_members(lengths[0], cluster_N)
    generator = np.random.default_rng(derive_seed(seed, "bootstrap"))
    values: list[float] = []
    if redraw is not None and cluster_N is None:
        at_once = max(1, _DRAWN_AT_ONCE // len(members))
        for start in range(0, n_draws, at_once):  # the same draws as one at a time
            size = (min(at_once, n_draws - start), len(members))
            values += redraw(generator.integers(0, len(members), size)).tolist()
    else:
        for _ in range(n_draws):
            chosen = generator.integers(0, len(members), len(members))
            index = chosen if cluster_N is None else np.concatenate([members[c] for c in chosen])
            with contextlib.suppress(UndefinedMetricError):
                values.append(float(function(*(array[index] for array in arrays))))
    drawn = np.array(values)[np.isfinite(values)] if values else np.empty(0)
    if len(drawn) < n_draws / 2:
        raise UndefinedMetricError(
            "bootstrap", expected="a number from at least half of the draws", got=f"{len(drawn)} of {n_draws}"
        )
    value = float(function(*arrays))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    if method == "basic":
        low, high = 2 * value - high, 2 * value - low
    low, high = (min(max(float(end), lowest), highest) for end in (low, high))
    narrow = NO_SPREAD * max(1.0, abs(value))
    if high - low <= narrow:  # mirrored out of its range: from the range's end to the value
        low, high = min(low, value), max(high, value)
    if high - low <= narrow:
        low, high = interval_without_spread(value, len(members), lowest, highest, level)
    return BootstrapInterval(value, low, high, float(drawn.mean() - value), len(drawn))


#: redrawn, it centres on the plain calibration error and not on itself
NO_INTERVAL = frozenset({"calibration/ece_debiased"})


def is_inflated(name: str) -> bool:
    """Return whether redrawing sources raises this number: binned calibration errors, and what Brier bins explain."""
    return name.startswith("calibration/") and name not in ("calibration/brier", *NO_INTERVAL)


def _cluster_members(n: int, cluster_N: np.ndarray | None) -> Any:
    if cluster_N is None:
        return range(n)
    if len(cluster_N) != n:
        raise InputError("cluster_N", expected=f"{n} entries", got=len(cluster_N))
    _, inverse = np.unique(np.asarray(cluster_N), return_inverse=True)
    order = inverse.argsort(kind="stable")
    return np.split(order, np.flatnonzero(np.diff(inverse[order])) + 1)


def compute_metric_intervals(
    probability_NK: np.ndarray,
    target_N: np.ndarray,
    names: str | list[str] = "*",
    *,
    n_draws: int = 1000,
    level: float = 0.95,
    cluster_N: np.ndarray | None = None,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return rows as `compute_metrics` does, with ``low`` and ``high``: the bootstrap interval over sources.

    Calibration errors, which redrawing inflates, get the "basic" interval, all others the percentiles; both end
    where the number's range does and are never of zero width (None where an unbounded number spreads over no
    draws). A number that is not defined has None in all three. The reference number
    calibration/ece_perfect, itself an average over draws, gets no interval, nor does calibration/ece_debiased,
    whose redrawn values centre on the plain calibration error.
    """
    p_NK, target_N = check_predictions(probability_NK, target_N)
    rows = []
    for name in METRICS.names(names) if isinstance(names, str) else names:
        entry = METRICS.get(name)
        row = {
            "metric": name,
            "value": None,
            "low": None,
            "high": None,
            "unit": entry.unit,
            "direction": entry.direction,
            "n": len(target_N),
        }
        inflated = is_inflated(name)
        try:
            if entry.direction == "none" or name in NO_INTERVAL:
                row["value"] = float(entry.function(p_NK, target_N))
            else:
                found = bootstrap_interval(
                    entry.function,
                    p_NK,
                    target_N,
                    n_draws=n_draws,
                    level=level,
                    method="basic" if inflated else "percentile",
                    cluster_N=cluster_N,
                    lowest=entry.lowest,
                    highest=entry.highest,
                    seed=seed,
                    redraw=entry.terms and partial(entry.terms.redraw, entry.terms.of_sources(p_NK, target_N)),
                )
                if np.isfinite(found.value):
                    row |= {"value": found.value, "low": finite_or_none(found.low), "high": finite_or_none(found.high)}
        except UndefinedMetricError:
            pass
        rows.append(row)
    return rows
