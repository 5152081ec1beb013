"""Numbers of several runs on the same sources: mean over runs, interval over sources.

A test set of 104 sources limits a comparison more than three seeds do, so the interval redraws the
sources, all runs of a source together. Legend: R runs, N sources, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from equirgz.errors import InputError
from equirgz.metrics.base import METRICS, find_range
from equirgz.metrics.calibration.brier import decompose_brier
from equirgz.metrics.check import UndefinedMetricError, check_predictions
from equirgz.metrics.compare.bootstrap import NO_INTERVAL, BootstrapInterval, bootstrap_interval, is_inflated
from equirgz.records import finite_or_none

BRIER_BINS = 10
BRIER_PARTS_RANGE = (0.0, 2.0)  # of each, as of the score
PARTS = {"reliability": "lower", "resolution": "higher", "uncertainty": "none"}


def check_runs(probability_RNK: np.ndarray, target_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return checked probabilities (R, N, K) and labels (N,). Raises: InputError for unusable input."""
    p_RNK = np.asarray(probability_RNK, np.float64)
    if p_RNK.ndim != 3 or len(p_RNK) == 0:
        raise InputError("probability_RNK", expected="shape (R, N, K) with R >= 1", got=p_RNK.shape)
    checked = [check_predictions(p_NK, target_N) for p_NK in p_RNK]
    return np.stack([p_NK for p_NK, _ in checked]), checked[0][1]


def interval_over_sources(
    function: Callable[[np.ndarray, np.ndarray], float],
    probability_RNK: np.ndarray,
    target_N: np.ndarray,
    *,
    n_draws: int = 300,
    inflated: bool = False,
    bounds: tuple[float, float] | None = None,
    seed: int = 0,
) -> BootstrapInterval:
    """Return the mean over runs of ``function(probability_NK, target_N)`` with its 95 % interval over sources.

    Args: inflated: redrawing raises this number (calibration errors, Brier reliability and resolution); its
    interval is then mirrored ("basic" bootstrap), which takes that bias out. Near its least value it does not
    do so wholly: the interval of the ECE of a perfectly calibrated network may lie above 0, so compare it with
    :func:`equirgz.metrics.calibration.ece.perfect_ece`. bounds: the number's range, at which the interval ends (None:
    that of the registered metric); where all redrawn sources agree it is Wilson's over that range.
    NaN: refused. Raises: InputError for unusable input, UndefinedMetricError where most draws give no number.
    """
    p_RNK, target_N = check_runs(probability_RNK, target_N)

    def mean(p_NRK: np.ndarray, y_N: np.ndarray) -> float:
        return float(np.mean([function(p_NRK[:, r], y_N) for r in range(p_NRK.shape[1])]))

    method = "basic" if inflated else "percentile"
    lowest, highest = find_range(function) if bounds is None else bounds
    return bootstrap_interval(
        mean, p_RNK.swapaxes(0, 1), target_N, n_draws=n_draws, method=method, lowest=lowest, highest=highest, seed=seed
    )


def compute_run_metrics(
    probability_RNK: np.ndarray,
    target_N: np.ndarray,
    names: Sequence[str] | None = None,
    *,
    n_draws: int = 300,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return rows (metric, value, low, high, unit, direction, n, n_runs) of every metric, and the Brier parts.

    value: mean over the runs; low, high: :func:`interval_over_sources`, mirrored for what redrawing inflates and
    cut to its range: such an interval may lie below the value, which is biased upwards. The debiased calibration
    error has none: redrawn sources are miscalibrated as much as the plain error says, not as the debiased one.
    Brier parts (Murphy, 10 equal-width bins) are ``calibration/brier_reliability``, ``_resolution`` and
    ``_uncertainty``. Context numbers (direction "none") have no interval, and a number that is not defined has
    value None.
    NaN: refused. Raises: InputError for unusable input or an unknown name.
    """
    p_RNK, target_N = check_runs(probability_RNK, target_N)
    wanted = list(METRICS.names("*")) if names is None else list(names)
    functions = [(name, METRICS.get(name).function, METRICS.get(name).unit, METRICS.get(name).direction)
                 for name in wanted]  # fmt: skip
    if names is None:
        functions += [(f"calibration/brier_{part}", _part(part), "1", way) for part, way in PARTS.items()]
    rows = []
    for name, function, unit, direction in functions:
        row = {"metric": name, "value": None, "low": None, "high": None, "unit": unit, "direction": direction,
               "n": len(target_N), "n_runs": len(p_RNK)}  # fmt: skip
        try:
            value = float(np.mean([function(p_NK, target_N) for p_NK in p_RNK]))
            if math.isfinite(value):
                row["value"] = value
                if direction != "none" and name not in NO_INTERVAL:
                    found = interval_over_sources(
                        function, p_RNK, target_N, n_draws=n_draws, inflated=is_inflated(name),
                        bounds=BRIER_PARTS_RANGE if name.startswith("calibration/brier_") else None, seed=seed,
                    )  # fmt: skip
                    row |= {"low": finite_or_none(found.low), "high": finite_or_none(found.high)}
        except UndefinedMetricError:
            row["low"] = row["high"] = None
        rows.append(row)
    return rows


def _part(part: str) -> Callable[[np.ndarray, np.ndarray], float]:
    return lambda p_NK, target_N: getattr(decompose_brier(p_NK, target_N, BRIER_BINS), part)
