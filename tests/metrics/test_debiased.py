"""Debiased calibration errors."""

import numpy as np
import pytest

from equirgz.metrics.calibration.debiased import debiased_calibration_error, debiased_rms_calibration_error
from equirgz.metrics.calibration.ece import expected_calibration_error
from equirgz.metrics.check import UndefinedMetricError


def binary(p_N):
    return np.stack([1 - np.asarray(p_N, float), p_N], axis=1)


def draw(generator, n, gap=0.0):
    """Sources at four confidences that come true less often by ``gap``."""
    p_N = generator.choice([0.65, 0.75, 0.85, 0.92], n)
    return binary(p_N), (generator.random(n) < p_N - gap).astype(int)


def test_closed_form_equals_redrawing():
    p_NK, target_N = draw(np.random.default_rng(0), 80, 0.1)
    confidence_N, right_N = p_NK.max(1), (p_NK.argmax(1) == target_N).astype(float)
    generator, total = np.random.default_rng(1), 0.0
    for p in np.unique(confidence_N):
        inside = confidence_N == p
        accuracy = right_N[inside].mean()
        sigma = np.sqrt(accuracy * (1 - accuracy) / inside.sum())
        total += inside.mean() * np.abs(generator.normal(accuracy - p, sigma, 400_000)).mean()
    plain = expected_calibration_error(p_NK, target_N, 100)
    assert debiased_calibration_error(p_NK, target_N, 100) == pytest.approx(2 * plain - total, abs=2e-4)


@pytest.mark.parametrize("n", [100, 1000, 10_000])
def test_of_a_calibrated_model_the_bias_falls_by_the_root_of_two_less_one(n):
    """The plain mean is that of |Normal(0, s_m^2)|; what remains is 2 - sqrt(2) of it, at every n."""
    generator = np.random.default_rng(2)
    sets = [draw(generator, n) for _ in range(1500 if n < 10_000 else 500)]
    plain = np.mean([expected_calibration_error(*s) for s in sets])
    debiased = np.mean([debiased_calibration_error(*s) for s in sets])
    p_M = np.array([0.65, 0.75, 0.85, 0.92])
    assert plain == pytest.approx(np.sqrt(2 / np.pi * p_M * (1 - p_M) * 4 / n).mean(), rel=0.04)
    assert debiased / plain == pytest.approx(2 - np.sqrt(2), abs=0.025)
    square = np.mean([debiased_rms_calibration_error(*s) ** 2 for s in sets])
    assert square < 0.6 * plain**2


@pytest.mark.parametrize("gap", [0.08, 0.2])
def test_a_large_gap_is_left_as_it_is(gap):
    generator = np.random.default_rng(3)
    sets = [draw(generator, 2000, gap) for _ in range(200)]
    plain = np.mean([expected_calibration_error(*s) for s in sets])
    debiased = np.mean([debiased_calibration_error(*s) for s in sets])
    assert debiased == pytest.approx(gap, abs=0.003) and plain == pytest.approx(gap, abs=0.003)


def test_bins_that_are_all_right_keep_their_gap():
    assert debiased_calibration_error(binary([0.9] * 5), [1] * 5) == pytest.approx(0.1)
    assert debiased_rms_calibration_error(binary([0.9] * 5), [1] * 5) == pytest.approx(0.1)


def test_one_source():
    assert debiased_calibration_error(binary([0.9]), [1]) == pytest.approx(0.1)
    with pytest.raises(UndefinedMetricError, match="two or more"):
        debiased_rms_calibration_error(binary([0.9]), [1])
