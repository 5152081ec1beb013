"""Smooth calibration error against its integral, closed forms and its edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import ndtr

from equirgz.errors import InputError
from equirgz.metrics.calibration.ece import expected_calibration_error
from equirgz.metrics.calibration.smooth import (
    perfect_smooth_ece,
    residual_terms_NM,
    smooth_calibration_error,
    solve_width,
)
from equirgz.metrics.compare.bootstrap import compute_metric_intervals


def binary(p_N):
    return np.stack([1 - np.asarray(p_N, float), p_N], axis=1)


def slow_smooth_ece(p_NK, target_N):
    """The fixed point of the integral itself: reflected Gaussians on a fine mesh, one width at a time."""
    f_N = p_NK.max(1)
    r_N = (p_NK.argmax(1) == target_N) - f_N
    t_T = np.linspace(0, 1, 8001)

    def integral(s):
        images = sum(
            np.exp(-((t_T[:, None] - sign * f_N - 2 * shift) ** 2) / (2 * s * s))
            for sign in (1, -1)
            for shift in (-2, -1, 0, 1, 2)
        )
        density_T = images @ r_N / (len(f_N) * s * np.sqrt(2 * np.pi))
        return np.trapezoid(np.abs(density_T), t_T)

    return brentq(lambda s: integral(s) - s, 1e-3, 1.0, xtol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("n", [7, 104])
def test_equals_the_integral(n, n_classes):
    generator = np.random.default_rng(n + n_classes)
    p_NK = generator.dirichlet(np.ones(n_classes) / 2, n)
    target_N = generator.integers(0, n_classes, n)
    assert smooth_calibration_error(p_NK, target_N) == pytest.approx(slow_smooth_ece(p_NK, target_N), abs=1e-4)


@given(c=st.floats(0.5, 1), n_right=st.integers(0, 20), n=st.integers(1, 20))
@settings(max_examples=20, deadline=None)
def test_sources_of_one_confidence_err_by_its_distance_from_their_accuracy(c, n_right, n):
    n_right = min(n, n_right)
    p_NK = binary(np.full(n, c)) if c > 0.5 else np.full((n, 2), 0.5)
    sure = p_NK.argmax(1)
    target_N = np.where(np.arange(n) < n_right, sure, 1 - sure)
    assert smooth_calibration_error(p_NK, target_N) == pytest.approx(abs(n_right / n - c), abs=1e-9)


def test_two_confidences_cancel_as_far_as_the_kernel_reaches():
    """+d at a and -d at b, far from the ends: S(s) = d (2 Phi((b - a) / 2 s) - 1) for half of the sources each."""
    a, b, d = 0.70, 0.80, 0.1  # 80 % right at 0.7, 70 % right at 0.8
    p_NK, right = binary([a] * 10 + [b] * 10), np.array([1] * 8 + [0] * 2 + [1] * 7 + [0] * 3)
    expected = brentq(lambda s: d * (2 * ndtr((b - a) / (2 * s)) - 1) - s, 1e-3, 1)
    assert smooth_calibration_error(p_NK, right) == pytest.approx(expected, abs=1e-5)
    assert expected_calibration_error(p_NK, right) == pytest.approx(d), "bins see none of it"


def test_a_calibrated_model_tends_to_zero_and_one_that_is_too_sure_does_not():
    generator = np.random.default_rng(0)
    small, large = (
        smooth_calibration_error(binary(p_N), (generator.random(len(p_N)) < p_N).astype(int))
        for p_N in (generator.random(300), generator.random(300_000))
    )
    assert large < 0.005 < small
    p_N = generator.uniform(0.5, 0.9, 100_000)
    right_N = (generator.random(len(p_N)) < p_N).astype(int)
    assert smooth_calibration_error(binary(p_N + 0.1), right_N) == pytest.approx(0.1, abs=0.01)
    assert smooth_calibration_error(binary([0.75] * 4), [1, 1, 1, 0]) == pytest.approx(0, abs=1e-12)


def test_it_moves_continuously_where_the_binned_error_jumps():
    """A confidence that crosses the edge of a bin by 1e-9."""
    edge = 12 / 15
    p = [binary([edge - e, edge - 0.01]) for e in (1e-9, -1e-9)]
    assert abs(np.subtract(*(expected_calibration_error(p_NK, [1, 0]) for p_NK in p))) > 0.1
    assert abs(np.subtract(*(smooth_calibration_error(p_NK, [1, 0]) for p_NK in p))) < 1e-7


@settings(max_examples=25, deadline=None)
@given(p_N=st.lists(st.floats(0, 1), min_size=1, max_size=40), seed=st.integers(0, 1000))
def test_bounds(p_N, seed):
    p_NK, target_N = binary(p_N), np.random.default_rng(seed).integers(0, 2, len(p_N))
    found = smooth_calibration_error(p_NK, target_N)
    mean_M = residual_terms_NM(p_NK, target_N).mean(axis=0)
    right = p_NK.argmax(1) == target_N
    assert abs(right.mean() - p_NK.max(1).mean()) - 1e-9 <= found <= np.abs(mean_M).sum() + 1e-9 <= 1 + 2e-9
    shuffled = np.random.default_rng(seed).permutation(len(p_N))
    assert smooth_calibration_error(p_NK[shuffled], target_N[shuffled]) == pytest.approx(found, abs=1e-9)


def test_float32_gives_the_same_number():
    p_NK = np.random.default_rng(1).dirichlet([1, 1, 1], 104)
    target_N = np.random.default_rng(2).integers(0, 3, 104)
    single = smooth_calibration_error(p_NK.astype(np.float32), target_N)
    assert single == pytest.approx(smooth_calibration_error(p_NK, target_N), abs=1e-6)


def test_many_means_at_once_are_each_alone():
    mean_DM = np.random.default_rng(3).normal(0, 1e-4, (5, 1024))
    mean_DM[2] = 0
    together = solve_width(mean_DM)
    assert together == pytest.approx([float(solve_width(mean_M)) for mean_M in mean_DM], abs=1e-12)
    assert together[2] == 0


def test_what_a_perfect_model_shows():
    p_NK = np.random.default_rng(4).dirichlet([1, 1], 104)
    found = perfect_smooth_ece(p_NK)
    generator = np.random.default_rng(5)
    drawn = [smooth_calibration_error(p_NK, (generator.random(104) < p_NK[:, 1]).astype(int)) for _ in range(100)]
    assert found.mean == pytest.approx(np.mean(drawn), rel=0.1) and found.low < found.mean < found.high
    assert found == perfect_smooth_ece(p_NK[::-1])
    with pytest.raises(InputError, match="n_draws"):
        perfect_smooth_ece(p_NK, n_draws=0)


def test_the_interval_of_a_calibrated_model_reaches_down_to_what_it_shows_by_chance():
    generator = np.random.default_rng(6)
    p_N = generator.uniform(0.5, 1, 104)
    calibrated = compute_metric_intervals(
        binary(p_N), (generator.random(104) < p_N).astype(int), ["calibration/ece_smooth"], n_draws=200
    )[0]
    sure = compute_metric_intervals(binary(np.full(104, 0.99)), np.arange(104) % 2, ["calibration/ece_smooth"])[0]
    assert calibrated["low"] < perfect_smooth_ece(binary(p_N)).high
    assert sure["low"] > 0.3 and sure["value"] == pytest.approx(0.49)


@pytest.mark.parametrize("bad", [[[np.nan, 1.0]], [[2.0, -1.0]]])
def test_bad_input(bad):
    with pytest.raises(InputError):
        smooth_calibration_error(bad, [0])
