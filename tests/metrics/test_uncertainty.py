"""Entropies, overlap index and uncertainty calibration."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from equirgz.errors import InputError
from equirgz.metrics.calibration.uce import (
    classwise_uncertainty_calibration_error,
    uncertainty_calibration_error,
)
from equirgz.metrics.check import UndefinedMetricError
from equirgz.metrics.uncertainty.overlap_index import overlap_index
from equirgz.metrics.uncertainty.predictive_samples import (
    entropy,
    expected_entropy,
    mutual_information,
    posterior_error,
    predictive_entropy,
)


def binary(p):
    return np.stack([1 - np.asarray(p, float), p], axis=-1)


def test_entropy_equals_scipy_and_knows_certainty():
    p_NK = np.random.default_rng(0).dirichlet([1, 1, 1], 20)
    assert entropy(p_NK) == pytest.approx(stats.entropy(p_NK, axis=1))
    assert entropy([[1.0, 0.0], [0.5, 0.5]]).tolist() == pytest.approx([0, math.log(2)])


def test_agreeing_samples_carry_no_mutual_information_and_opposite_ones_all_of_it():
    same = binary(np.full((7, 3), 0.3))
    assert mutual_information(same) == pytest.approx(np.zeros(3), abs=1e-12)
    assert predictive_entropy(same) == pytest.approx(expected_entropy(same))
    opposite = binary(np.array([[0.0], [1.0]]))
    assert mutual_information(opposite)[0] == pytest.approx(math.log(2)) and expected_entropy(opposite)[0] == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 6), st.integers(1, 5), st.integers(2, 4))
def test_entropies_are_ordered_and_bounded(seed, s, n, k):
    p_SNK = np.random.default_rng(seed).dirichlet(np.full(k, 0.3), (s, n))
    total, part = predictive_entropy(p_SNK), mutual_information(p_SNK)
    assert (part >= 0).all() and (part <= total + 1e-9).all() and (total <= math.log(k) + 1e-9).all()


def test_posterior_error_counts_wrong_samples():
    p_SNK = binary(np.array([[0.9, 0.2], [0.8, 0.6], [0.4, 0.7], [0.7, 0.1]]))
    assert posterior_error(p_SNK, [1, 1]).tolist() == [0.25, 0.5]
    assert posterior_error(p_SNK, [1, 1], mass=0.5).tolist() == [0.0, 0.5], "0.4 lies in the lower tail"
    with pytest.raises(InputError, match="mass"):
        posterior_error(p_SNK, [1, 1], mass=0)


def test_overlap_of_equal_distributions_as_published_and_corrected():
    halves = binary(np.full((50, 1), 0.5))
    assert overlap_index(halves, edge_corrected=False)[0] == pytest.approx(0.990, abs=1e-3)
    assert overlap_index(halves)[0] == pytest.approx(1.0, abs=1e-9)


def test_overlap_at_the_edge_leaks_as_published_and_not_when_corrected():
    """Two classes of many that share what a rare third leaves: both at nearly 0."""
    rare = np.tile(np.full(200, 1 / 200), (5, 1, 1))
    assert overlap_index(rare, edge_corrected=False)[0] == pytest.approx(0.515, abs=0.03)
    assert overlap_index(rare)[0] == pytest.approx(1.0, abs=1e-9)


def test_overlap_of_separated_classes_is_nothing():
    sure = binary(np.ones((50, 1)))
    assert overlap_index(sure, edge_corrected=False)[0] == pytest.approx(2 * stats.norm.sf(5), rel=0.25)
    assert overlap_index(sure)[0] < 1e-5


def slow_published(first, second):
    total = 0.0
    for x in np.linspace(0, 1, 100):
        f, g = (np.mean(stats.norm.pdf(x, s, 0.1)) for s in (first, second))
        total += min(f, g) * 0.01
    return total


def test_overlap_equals_the_published_loop():
    p_SNK = np.random.default_rng(3).beta(2, 1, (40, 5, 1))
    p_SNK = np.concatenate([p_SNK, 1 - p_SNK], axis=2)
    found = overlap_index(p_SNK, edge_corrected=False)
    assert found == pytest.approx([slow_published(p_SNK[:, i, 0], p_SNK[:, i, 1]) for i in range(5)])


def test_edge_correction_restores_what_leaks_out_and_keeps_the_order():
    spread = np.random.default_rng(4).normal(0, 0.03, (200, 1))
    near_edge = [overlap_index(binary(np.clip(0.5 + d + spread, 0, 1)))[0] for d in (0.0, 0.1, 0.3, 0.5)]
    assert near_edge == sorted(near_edge, reverse=True) and near_edge[0] > 0.95


def test_overlap_uses_the_two_most_probable_of_many_classes():
    p_SN2 = np.random.default_rng(5).uniform(0.3, 0.7, (30, 4))
    three = np.concatenate([0.001 * np.ones((30, 4, 1)), 0.999 * binary(p_SN2)], axis=2)
    assert overlap_index(three) == pytest.approx(overlap_index(binary(p_SN2)), abs=0.01)


def test_uce_by_hand_and_perfect():
    # bin of u = 0.9: mean error 0.5 -> stated 0.9 against 2 * 0.5; bin of u = 0.1: no error
    u, e = [0.9, 0.9, 0.1, 0.1] * 2, [1, 0, 0, 0] * 2
    assert uncertainty_calibration_error(u, e) == pytest.approx(100 * (0.5 * 0.1 + 0.5 * 0.1))
    half = uncertainty_calibration_error([1.0] * 8, [1, 0] * 4)
    assert half == 0, "full uncertainty of two classes errs by half"
    assert uncertainty_calibration_error([1.0] * 9, [1, 1, 0] * 3, n_classes=3) == pytest.approx(0)


def test_classwise_uce_is_the_mean_over_classes_that_occur():
    generator = np.random.default_rng(0)
    u, e, y = generator.random(30), generator.integers(0, 2, 30), np.array([0] * 20 + [2] * 10)
    parts = [uncertainty_calibration_error(u[y == k], e[y == k], 3) for k in (0, 2)]
    assert classwise_uncertainty_calibration_error(u, e, y, 3) == pytest.approx(sum(parts) / 2)


def test_neither_is_defined_for_fewer_sources_than_bins_nor_the_second_for_one_class():
    u, e = np.full(16, 0.5), np.zeros(16)
    assert uncertainty_calibration_error(u[:3], e[:3], n_bins=3) == 50
    with pytest.raises(UndefinedMetricError, match="at least 8 sources, one per bin, got 7"):
        uncertainty_calibration_error(u[:7], e[:7])
    assert classwise_uncertainty_calibration_error(u, e, [0, 1] * 8) == 50
    with pytest.raises(UndefinedMetricError, match="got 7"):
        classwise_uncertainty_calibration_error(u, e, [0] * 9 + [1] * 7)
    with pytest.raises(UndefinedMetricError, match="class 1 alone"):
        classwise_uncertainty_calibration_error(u, e, [1] * 16)


def test_refusals():
    with pytest.raises(InputError, match=r"\(S, N, K\)"):
        predictive_entropy(binary([0.5]))
    with pytest.raises(InputError, match="logits"):
        mutual_information(np.ones((2, 2, 2)) * 3)
    with pytest.raises(InputError, match="ln K"):
        uncertainty_calibration_error([1.5], [1])
    with pytest.raises(InputError, match="1 entries"):
        uncertainty_calibration_error([0.5], [1, 0])
    with pytest.raises(InputError, match="n_classes"):
        uncertainty_calibration_error([0.5], [1], n_classes=1)
    with pytest.raises(InputError, match="width"):
        overlap_index(binary(np.full((3, 1), 0.5)), width=0)
