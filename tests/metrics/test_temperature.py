"""Temperature scaling."""

import numpy as np
import pytest
from scipy.special import log_softmax

from equirgz.errors import InputError
from equirgz.metrics.calibration.ece import expected_calibration_error
from equirgz.metrics.calibration.temperature_scaling import apply_temperature, fit_temperature
from equirgz.metrics.check import UndefinedMetricError


def draw(n, true_temperature, seed=0):
    """Logits whose labels were drawn at another temperature."""
    generator = np.random.default_rng(seed)
    logits_NK = generator.normal(0, 3, (n, 3))
    p_NK = apply_temperature(logits_NK, true_temperature)
    target_N = (generator.random(n)[:, None] > p_NK.cumsum(1)).sum(1).clip(max=2)
    return logits_NK, target_N


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_finds_the_temperature_the_labels_were_drawn_at(true):
    found = fit_temperature(*draw(4000, true))
    assert found.value == pytest.approx(true, rel=0.1) and found.n == 4000
    assert found.nll_after <= found.nll_before


def test_equals_a_search_over_all_temperatures():
    logits_NK, target_N = draw(200, 2.0, 1)
    grid = np.exp(np.linspace(-2, 3, 2001))
    nll = [-log_softmax(logits_NK / t, axis=1)[np.arange(200), target_N].mean() for t in grid]
    found = fit_temperature(logits_NK, target_N)
    assert found.value == pytest.approx(grid[int(np.argmin(nll))], rel=5e-3)
    assert found.nll_after <= min(nll) + 1e-9


def test_calibrates_fresh_sources_and_keeps_every_class():
    found = fit_temperature(*draw(2000, 3.0))
    logits_NK, target_N = draw(2000, 3.0, 5)
    before, after = apply_temperature(logits_NK), apply_temperature(logits_NK, found.value)
    assert expected_calibration_error(after, target_N) < 0.3 * expected_calibration_error(before, target_N)
    assert (before.argmax(1) == after.argmax(1)).all()


def test_closed_form_with_all_logits_two_apart():
    found = fit_temperature([[2.0, 0.0]] * 4, [0, 0, 0, 1])
    assert found.value == pytest.approx(2 / np.log(3), rel=1e-6), "3 of 4 right: sigmoid(2 / T) = 3/4"


@pytest.mark.parametrize("target_N, words", [
    ([0, 1], r"all of them right \(T to 0\)"),
    ([1, 0], r"tell nothing \(T to infinity\)"),
    ([0, 0], "at least two classes, got class 0 alone"),
])  # fmt: skip
def test_there_is_none_where_the_data_fix_no_temperature(target_N, words):
    with pytest.raises(UndefinedMetricError, match=words):
        fit_temperature([[3.0, 0.0], [0.0, 2.0]], target_N)


def test_large_logits_do_not_overflow():
    assert np.isfinite(apply_temperature([[1e4, -1e4]], 0.01)).all()


def test_refusals():
    logits_NK, target_N = draw(20, 1.0)
    with pytest.raises(InputError, match="look like probabilities"):
        fit_temperature(apply_temperature(logits_NK), target_N)
    with pytest.raises(InputError, match="two classes"):
        fit_temperature(logits_NK[:, :1], target_N * 0)
    with pytest.raises(InputError, match="finite"):
        fit_temperature(logits_NK * np.nan, target_N)
    with pytest.raises(InputError, match="class indices"):
        fit_temperature(logits_NK, target_N + 1)
    for bad in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="temperature"):
            apply_temperature(logits_NK, bad)
