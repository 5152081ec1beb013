"""Unusable input is refused by every metric, with a line that says what to do."""

import numpy as np
import pytest

from equirgz.errors import InputError
from equirgz.metrics import METRICS, compute_metrics
from equirgz.metrics.check import check_finite, check_probability

GOOD = np.array([[0.9, 0.1], [0.2, 0.8]])
BAD = {
    "NaN": ([[np.nan, 1.0], [0.2, 0.8]], [0, 1], "finite"),
    "infinity": ([[np.inf, 0.0], [0.2, 0.8]], [0, 1], "finite"),
    "logits": ([[3.0, -1.0], [0.2, 0.8]], [0, 1], "logits"),
    "log-probabilities": (np.log(GOOD), [0, 1], "logits"),
    "unnormalised": ([[0.5, 0.4], [0.2, 0.8]], [0, 1], "sum"),
    "sigmoid scores": ([[0.9, 0.9], [0.2, 0.8]], [0, 1], "sum"),
    "one column": ([[0.5], [0.4]], [0, 1], r"K >= 2"),
    "one axis": ([0.5, 0.4], [0, 1], r"K >= 2"),
    "empty": (np.zeros((0, 2)), [], "at least one"),
    "short target": (GOOD, [0], r"shape \(2,\)"),
    "target of two axes": (GOOD, [[0], [1]], r"shape \(2,\)"),
    "no such class": (GOOD, [0, 2], "class indices 0 to 1"),
    "unlabelled": (GOOD, [0, -1], "unlabelled"),
    "fractional target": (GOOD, [0.5, 1.0], "whole"),
    "words": (GOOD, ["FRI", "FRII"], "whole"),
    "ragged": ([[0.5, 0.5], [1.0]], [0, 1], "numbers"),
}


@pytest.mark.parametrize("name", sorted(METRICS))
@pytest.mark.parametrize("case", sorted(BAD))
def test_every_metric_refuses(name, case):
    p_NK, target_N, message = BAD[case]
    with pytest.raises(InputError, match=message):
        METRICS.get(name)(p_NK, target_N)


def test_float32_softmax_passes_and_is_clipped():
    logits = np.random.default_rng(0).normal(0, 20, (500, 5)).astype(np.float32)
    p_NK = np.exp(logits - logits.max(1, keepdims=True))
    p_NK /= p_NK.sum(1, keepdims=True)
    p_NK[0, 0] += np.float32(5e-5)
    assert check_probability(p_NK).max() <= 1


def test_rows_of_all_metrics():
    rows = compute_metrics(GOOD, [0, 1])
    assert [row["metric"] for row in rows] == sorted(METRICS)
    assert all(set(row) == {"metric", "value", "unit", "direction", "n"} and row["n"] == 2 for row in rows)
    assert {row["direction"] for row in rows} <= {"lower", "higher", "none"}


def test_undefined_numbers_are_empty_and_not_invented():
    values = {row["metric"]: row["value"] for row in compute_metrics([[1.0, 0.0], [1.0, 0.0]], [0, 1])}
    assert values["nll/mean"] is None, "infinite"
    assert values["calibration/ece_adaptive"] is None, "two sources in 15 equal bins"
    assert values["calibration/ece"] == 0.5


def test_unknown_metric_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'calibration/ece'"):
        compute_metrics(GOOD, [0, 1], ["calibration/eec"])


def test_metrics_do_not_depend_on_the_order_of_sources_or_change_their_input():
    generator = np.random.default_rng(3)
    p_NK = np.round(generator.dirichlet([1, 1], 60), 1)  # many ties
    p_NK[:, 1] = 1 - p_NK[:, 0]
    target_N = generator.integers(0, 2, 60)
    copy, order = p_NK.copy(), generator.permutation(60)
    here = compute_metrics(p_NK, target_N)
    there = compute_metrics(p_NK[order], target_N[order])
    for one, other in zip(here, there, strict=True):
        assert one["value"] == pytest.approx(other["value"], abs=1e-12), one["metric"]
    assert (copy == p_NK).all()


def test_check_finite():
    assert check_finite("x", [1, 2], 1).dtype == np.float64
    for bad in ([], [[1.0]], [np.nan], ["a"]):
        with pytest.raises(InputError):
            check_finite("x", bad, 1)
