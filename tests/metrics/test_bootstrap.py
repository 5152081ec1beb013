"""Bootstrap intervals against scipy, their coverage, and their edges."""

import inspect
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from equirgz.errors import InputError
from equirgz.metrics.base import METRICS
from equirgz.metrics.calibration.ece import expected_calibration_error
from equirgz.metrics.check import UndefinedMetricError
from equirgz.metrics.compare.bootstrap import bootstrap_interval, compute_metric_intervals
from equirgz.metrics.compare.over_runs import compute_run_metrics
from equirgz.metrics.interval import wilson_interval

SEED = {"rng" if "rng" in inspect.signature(stats.bootstrap).parameters else "random_state": 1}  # before scipy 1.15


def binary(p_N):
    return np.stack([1 - np.asarray(p_N, float), p_N], axis=1)


@pytest.mark.parametrize("method", ["percentile", "basic"])
def test_equals_scipy(method):
    x_N = np.random.default_rng(0).exponential(1, 60)
    found = bootstrap_interval(np.mean, x_N, n_draws=3000, method=method)
    expected = stats.bootstrap((x_N,), np.mean, n_resamples=3000, method=method, **SEED).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.04)
    assert found.value == x_N.mean() and found.n_draws == 3000 and abs(found.bias) < 0.02


WITH_TERMS = [name for name in METRICS.names("*") if METRICS.get(name).terms is not None]


@pytest.mark.parametrize("name", WITH_TERMS)
@pytest.mark.parametrize("n", [1, 60, 7])
def test_draws_at_once_are_the_draws_one_by_one(name, n, monkeypatch):
    """A metric of averages over sources has the value and the interval of its function, to rounding."""
    monkeypatch.setattr("equirgz.metrics.compare.bootstrap._DRAWN_AT_ONCE", 100)  # several draws, or less than one
    generator = np.random.default_rng(n)
    p_NK, target_N = generator.dirichlet(np.ones(3), n), generator.integers(0, 3, n)
    metric = METRICS.get(name)
    terms_NJ = metric.terms.of_sources(p_NK, target_N)
    assert metric.terms.combine(terms_NJ.mean(axis=0)) == pytest.approx(metric(p_NK, target_N), rel=1e-12)
    options = {"n_draws": 50, "lowest": metric.lowest, "highest": metric.highest}
    one_by_one = bootstrap_interval(metric.function, p_NK, target_N, **options)
    at_once = bootstrap_interval(
        metric.function, p_NK, target_N, **options, redraw=lambda index_DN: metric.terms.redraw(terms_NJ, index_DN)
    )
    assert astuple(at_once) == pytest.approx(astuple(one_by_one), rel=1e-9, abs=1e-12, nan_ok=True)


def test_sources_that_are_certainly_wrong_are_infinite_in_draws_at_once_too():
    found = compute_metric_intervals(binary([1.0] * 9 + [0.5]), np.array([0] + [1] * 9), ["nll/mean", "error/rate"])
    assert found[0]["value"] is None and found[1]["value"] == 20.0


def test_arrays_are_redrawn_together():
    x_N = np.arange(30.0)
    found = bootstrap_interval(lambda a, b: float(np.abs(a - b).max()), x_N, x_N, n_draws=20)
    assert found.value == found.bias == 0
    assert np.isnan(found.low) and np.isnan(found.high), "no spread and no range: no interval"


@given(n=st.integers(1, 200), share=st.sampled_from([0.0, 1.0]), n_runs=st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_no_interval_is_of_zero_width_and_rates_end_at_0_and_100(n, share, n_runs):
    """All right or all wrong, with one run or with several of the same sources, the sources tell Wilson's interval."""
    target_N, right = np.arange(n) % 2, binary(np.arange(n) % 2)
    p_NK = right if share == 0 else right[:, ::-1]
    low, high = (100 * end for end in wilson_interval(share * n, n))
    single = {row["metric"]: row for row in compute_metric_intervals(p_NK, target_N, n_draws=10)}
    pooled = {row["metric"]: row for row in compute_run_metrics(np.stack([p_NK] * n_runs), target_N, n_draws=10)}
    for rows in (single, pooled):
        assert (rows["error/rate"]["low"], rows["error/rate"]["high"]) == pytest.approx((low, high))
        for name, row in rows.items():
            assert row["low"] is None or row["low"] < row["high"], name
            if row["low"] is not None and row["unit"] == "%":
                assert 0 <= row["low"] <= row["value"] <= row["high"] <= 100


def test_none_wrong_of_104_is_0_to_3_6_per_cent():
    target_N = np.arange(104) % 2
    (row,) = compute_metric_intervals(binary(target_N), target_N, ["error/rate"])
    assert (row["value"], row["low"], round(row["high"], 1)) == (0, 0, 3.6)


def test_a_mirrored_interval_that_leaves_its_range_reaches_from_its_end_to_the_value():
    found = bootstrap_interval(lambda x: 0.1 + 0.05 * (20 - len(set(x))), np.arange(20), method="basic", lowest=0.0)
    assert (found.value, found.low, found.high) == (0.1, 0.0, 0.1)


def test_clusters_are_drawn_whole():
    """Ten copies of each source carry no more than one of each."""
    x_N = np.random.default_rng(1).normal(0, 1, 30)
    single = bootstrap_interval(np.mean, x_N, n_draws=800)
    copies = bootstrap_interval(np.mean, np.repeat(x_N, 10), n_draws=800, cluster_N=np.repeat(np.arange(30), 10))
    naive = bootstrap_interval(np.mean, np.repeat(x_N, 10), n_draws=800)
    assert copies.high - copies.low == pytest.approx(single.high - single.low, rel=0.1)
    assert naive.high - naive.low < 0.5 * (single.high - single.low)


def test_seeded():
    x_N = np.random.default_rng(2).normal(0, 1, 20)
    assert bootstrap_interval(np.mean, x_N) == bootstrap_interval(np.mean, x_N)
    assert bootstrap_interval(np.mean, x_N).low != bootstrap_interval(np.mean, x_N, seed=1).low


def test_ece_of_a_calibrated_model_is_inflated_by_redrawing_and_basic_takes_it_out():
    generator = np.random.default_rng(3)
    p_N = generator.uniform(0.5, 1, 150)
    p_NK, target_N = binary(p_N), (generator.random(150) < p_N).astype(int)
    found = bootstrap_interval(expected_calibration_error, p_NK, target_N, n_draws=300)
    assert found.bias > 0.01 and found.high > found.value
    basic = bootstrap_interval(expected_calibration_error, p_NK, target_N, n_draws=300, method="basic")
    assert basic.low < 0.02, "does not exclude a calibrated model"


def test_metric_rows_with_intervals():
    generator = np.random.default_rng(4)
    p_N = generator.uniform(0, 1, 60)
    p_NK, target_N = binary(p_N), (generator.random(60) < p_N).astype(int)
    rows = {row["metric"]: row for row in compute_metric_intervals(p_NK, target_N, n_draws=60)}
    for name, row in rows.items():
        if METRICS.get(name).direction == "none" or name == "calibration/ece_debiased":
            assert row["low"] is None and row["value"] is not None
        else:
            assert row["low"] <= row["high"], name
    assert rows["error/rate"]["low"] <= rows["error/rate"]["value"] <= rows["error/rate"]["high"]


def test_rows_of_undefined_numbers_are_empty():
    rows = compute_metric_intervals(
        binary([1.0] * 5), [1, 1, 1, 1, 0], ["nll/mean", "calibration/ece_adaptive"], n_draws=20
    )
    assert [row["value"] for row in rows] == [None, None] and [row["low"] for row in rows] == [None, None]


def test_refusals():
    with pytest.raises(InputError, match="one length"):
        bootstrap_interval(np.mean, [1.0, 2.0], [1.0])
    with pytest.raises(InputError, match="n_draws"):
        bootstrap_interval(np.mean, [1.0], n_draws=2)
    with pytest.raises(InputError, match="basic"):
        bootstrap_interval(np.mean, [1.0], method="bca")
    with pytest.raises(InputError, match="cluster_N"):
        bootstrap_interval(np.mean, [1.0, 2.0], cluster_N=np.array([0]))
    with pytest.raises(UndefinedMetricError, match="half of the draws"):
        bootstrap_interval(lambda x: float("nan"), [1.0, 2.0])
