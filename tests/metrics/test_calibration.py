"""Calibration errors against brute force, closed forms, hand-computed cases and every edge."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from equirgz.errors import InputError
from equirgz.metrics.calibration.binning import equal_mass_bins, equal_width_bins, make_bins
from equirgz.metrics.calibration.brier import brier_score
from equirgz.metrics.calibration.ece import (
    adaptive_calibration_error,
    classwise_calibration_error,
    expected_calibration_error,
    maximum_calibration_error,
    perfect_ece,
)
from equirgz.metrics.check import UndefinedMetricError


def binary(p_N):
    """(N, 2) probabilities of which the second column is ``p_N``."""
    return np.stack([1 - np.asarray(p_N), p_N], axis=1)


def slow_ece(p_NK, target_N, n_bins):
    """ECE straight from its definition, one source at a time; bins (a, b], 0 in the first."""
    cells = {}
    for p_K, target in zip(p_NK, target_N, strict=True):
        confidence = max(p_K)
        m = 0
        while confidence > (m + 1) * (1 / n_bins) and m < n_bins - 1:
            m += 1
        cells.setdefault(m, []).append((confidence, float(list(p_K).index(confidence) == target)))
    return sum(abs(sum(a - c for c, a in s)) / len(target_N) for s in cells.values())


def exact_perfect_ece(confidence_N, n_bins):
    """Expected ECE of a perfect model, exactly: the number right in a bin is Poisson-binomial."""
    total, bin_N = 0.0, equal_width_bins(confidence_N, n_bins)
    for m in np.unique(bin_N):
        mass = np.ones(1)
        for c in confidence_N[bin_N == m]:
            mass = np.convolve(mass, [1 - c, c])
        total += mass @ np.abs(np.arange(len(mass)) - confidence_N[bin_N == m].sum())
    return total / len(confidence_N)


def test_hand_computed():
    p_NK = binary([0.95, 0.95, 0.75, 0.25])  # confidences .95 .95 .75 .75
    target_N = [1, 0, 1, 1]  # right, wrong, right, wrong
    assert expected_calibration_error(p_NK, target_N) == pytest.approx(0.5 * 0.45 + 0.5 * 0.25)
    assert maximum_calibration_error(p_NK, target_N) == pytest.approx(0.45)
    assert adaptive_calibration_error(p_NK, target_N, n_bins=1) == pytest.approx(0.35)
    # class 1: p .95 .95 .75 .25 against 1 0 1 1; class 0 mirrors it
    assert classwise_calibration_error(p_NK, target_N) == pytest.approx((2 * 0.45 + 0.25 + 0.75) / 4)
    assert brier_score(p_NK, target_N) == pytest.approx(2 * (0.05**2 + 0.95**2 + 0.25**2 + 0.75**2) / 4)


@pytest.mark.parametrize("n_bins", [1, 7, 15])
@pytest.mark.parametrize("n_classes", [2, 5])
def test_ece_equals_brute_force(n_bins, n_classes):
    generator = np.random.default_rng(n_bins)
    p_NK = generator.dirichlet(np.ones(n_classes) / 2, 120)
    target_N = generator.integers(0, n_classes, 120)
    assert expected_calibration_error(p_NK, target_N, n_bins) == pytest.approx(slow_ece(p_NK, target_N, n_bins))


def test_classwise_equals_the_curve_of_scikit_learn():
    generator = np.random.default_rng(5)
    p_NK = generator.dirichlet([1, 1], 400)
    target_N = generator.integers(0, 2, 400)
    total = 0.0
    for k in (0, 1):
        share, mean = calibration_curve(target_N == k, p_NK[:, k], n_bins=10)
        count = np.bincount(equal_width_bins(p_NK[:, k], 10), minlength=10)
        total += (count[count > 0] / 400 * np.abs(share - mean)).sum()
    assert classwise_calibration_error(p_NK, target_N, n_bins=10) == pytest.approx(total / 2)


def test_brier_is_twice_the_binary_score_of_scikit_learn():
    generator = np.random.default_rng(6)
    p_N, target_N = generator.random(100), generator.integers(0, 2, 100)
    assert brier_score(binary(p_N), target_N) == pytest.approx(2 * brier_score_loss(target_N, p_N))


def test_probabilities_of_zero_and_one():
    assert equal_width_bins(np.array([0.0, 1.0, 1 - 1e-16]), 15).tolist() == [0, 14, 14]
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    for error in (
        expected_calibration_error,
        maximum_calibration_error,
        classwise_calibration_error,
        brier_score,
    ):
        assert error(sure, [0, 1]) == 0.0
    assert expected_calibration_error(sure, [1, 0]) == 1.0
    assert brier_score(sure, [1, 0]) == 2.0
    # 1.0 and 0.97 share the last bin: one bin of its own for 1.0 would give (0.5 + 0.97) / 2 instead
    assert expected_calibration_error([[1.0, 0.0], [0.97, 0.03]], [0, 1]) == pytest.approx(0.97 / 2)


def test_one_source():
    for error in (expected_calibration_error, maximum_calibration_error):
        assert error([[0.7, 0.3]], [0]) == pytest.approx(0.3)
        assert error([[0.7, 0.3]], [1]) == pytest.approx(0.7)
    assert perfect_ece([[0.7, 0.3]], n_draws=4000).mean == pytest.approx(2 * 0.7 * 0.3, abs=0.01)


def test_missing_class_counts_in_the_classwise_error():
    p_NK = [[0.6, 0.2, 0.2], [0.6, 0.2, 0.2]]
    assert classwise_calibration_error(p_NK, [0, 1]) == pytest.approx((0.1 + 0.3 + 0.2) / 3)
    with pytest.raises(UndefinedMetricError, match="class 0 alone"):
        classwise_calibration_error(p_NK, [0, 0])


def test_equal_mass_bins_hold_equal_numbers():
    confidence_N = np.random.default_rng(0).random(47)
    size_M = np.bincount(equal_mass_bins(confidence_N, 5), minlength=5)
    assert size_M.sum() == 47 and size_M.max() - size_M.min() <= 1
    rank_N = confidence_N.argsort().argsort()
    assert (np.diff(equal_mass_bins(confidence_N, 5)[rank_N.argsort()]) >= 0).all(), "bins rise with confidence"


def test_ties_share_a_bin():
    assert equal_mass_bins(np.array([0.5] * 8 + [0.9] * 2), 5).tolist() == [2] * 8 + [4] * 2
    assert len(set(equal_mass_bins(np.full(30, 0.8), 15).tolist())) == 1
    p_NK = binary([0.8] * 30)
    assert adaptive_calibration_error(p_NK, [1] * 24 + [0] * 6) == pytest.approx(0.0), "24 of 30 are right at 0.8"


def test_fewer_sources_than_equal_mass_bins():
    with pytest.raises(UndefinedMetricError, match="at least 15 sources"):
        adaptive_calibration_error(binary([0.8] * 14), [1] * 14)


@pytest.mark.parametrize("n_bins", [0, -1, 2.5, True])
def test_bad_number_of_bins(n_bins):
    with pytest.raises(InputError, match="whole number"):
        expected_calibration_error(binary([0.8]), [1], n_bins)


def test_unknown_scheme():
    with pytest.raises(InputError, match="width, mass|mass, width"):
        make_bins(np.array([0.5]), 2, "depth")


def test_perfect_ece_equals_the_exact_expectation():
    p_NK = np.random.default_rng(2).dirichlet([1, 1], 153)
    exact = exact_perfect_ece(p_NK.max(axis=1), 15)
    measured = perfect_ece(p_NK, n_draws=4000)
    assert measured.mean == pytest.approx(exact, rel=0.02)
    assert measured.low < exact < measured.high
    assert 0.05 < exact < 0.09, "what a perfect model shows on a test set of the size of MiraBest's"


def test_perfect_ece_is_seeded_and_does_not_depend_on_order_or_chunks(monkeypatch):
    p_NK = np.random.default_rng(2).dirichlet([1, 1], 50)
    once = perfect_ece(p_NK)
    assert once == perfect_ece(p_NK[::-1])
    assert once != perfect_ece(p_NK, seed=1)
    monkeypatch.setattr("equirgz.metrics.calibration.ece._DRAWN_AT_ONCE", 333)
    assert once.mean == pytest.approx(perfect_ece(p_NK).mean)
    with pytest.raises(InputError, match="n_draws"):
        perfect_ece(p_NK, n_draws=0)


def test_calibrated_model_tends_to_zero_at_the_rate_of_noise():
    generator = np.random.default_rng(8)
    for scheme in ("width", "mass"):
        small, large = (
            expected_calibration_error(p, (generator.random(len(p)) < p[:, 1]).astype(int), scheme=scheme)
            for p in (binary(generator.random(300)), binary(generator.random(300_000)))
        )
        assert large < 0.005 < small
    p_NK = binary(generator.random(300_000))
    assert perfect_ece(p_NK, n_draws=20).mean < 4 / math.sqrt(300_000)


@settings(max_examples=60, deadline=None)
@given(
    p_N=st.lists(st.floats(0, 1), min_size=15, max_size=40),
    seed=st.integers(0, 1000),
    n_bins=st.integers(1, 15),
)
def test_bounds(p_N, seed, n_bins):
    p_NK = binary(p_N)
    target_N = np.random.default_rng(seed).integers(0, 2, len(p_N))
    ece = expected_calibration_error(p_NK, target_N, n_bins)
    assert 0 <= ece <= maximum_calibration_error(p_NK, target_N, n_bins) + 1e-12 <= 1 + 1e-9
    assert 0 <= adaptive_calibration_error(p_NK, target_N, n_bins) <= 1 + 1e-9
    assert 0 <= brier_score(p_NK, target_N) <= 2 + 1e-9
    confidence = p_NK.max(1).mean()
    accuracy = (p_NK.argmax(1) == target_N).mean()
    assert ece >= abs(confidence - accuracy) - 1e-9, "binning can only add to the overall gap"
