"""The parts of the Brier score."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equirgz.metrics.calibration.brier import brier_score, decompose_brier


def binary(p_N):
    return np.stack([1 - np.asarray(p_N, float), p_N], axis=1)


def test_hand_computed():
    """Half the sources at 0.8 (3 of 4 come true), half at 0.2 (1 of 4)."""
    p_NK, target_N = binary([0.8] * 4 + [0.2] * 4), [1, 1, 1, 0, 1, 0, 0, 0]
    parts = decompose_brier(p_NK, target_N)
    assert parts.reliability == pytest.approx(2 * 0.05**2)
    assert parts.resolution == pytest.approx(2 * 0.25**2)
    assert parts.uncertainty == pytest.approx(2 * 0.25)
    assert parts.within_bins == pytest.approx(0, abs=1e-12)


def test_climatology_has_uncertainty_alone_and_an_oracle_nothing_left():
    target_N = np.array([0, 0, 1, 2])
    shares = np.tile([0.5, 0.25, 0.25], (4, 1))
    parts = decompose_brier(shares, target_N)
    assert (parts.reliability, parts.resolution) == pytest.approx((0, 0))
    assert parts.score == pytest.approx(parts.uncertainty) == pytest.approx(brier_score(shares, target_N))
    sure = decompose_brier(np.eye(3)[target_N], target_N)
    assert sure.reliability == 0 and sure.resolution == pytest.approx(sure.uncertainty) and sure.score == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(2, 4), st.sampled_from([None, 1, 5, 15]))
def test_parts_add_up_to_the_score(seed, n, n_classes, n_bins):
    generator = np.random.default_rng(seed)
    p_NK, target_N = generator.dirichlet(np.ones(n_classes), n), generator.integers(0, n_classes, n)
    parts = decompose_brier(p_NK, target_N, n_bins)
    assert parts.score == pytest.approx(brier_score(p_NK, target_N))
    assert min(parts.reliability, parts.resolution, parts.uncertainty) >= 0
    if n_bins is None:
        assert parts.within_bins == pytest.approx(0, abs=1e-9)
