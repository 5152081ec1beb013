"""Risk-coverage curves."""

from itertools import permutations

import numpy as np
import pytest

from equirgz.errors import InputError
from equirgz.metrics.uncertainty.risk_coverage import risk_coverage


def test_by_hand():
    found = risk_coverage([0.9, 0.8, 0.7, 0.6], [0, 1, 0, 1])
    assert found.coverage_N.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert found.risk_N.tolist() == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert found.area == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert found.excess_area == pytest.approx(found.area - (0 + 0 + 1 / 3 + 1 / 2) / 4)


def test_a_perfect_ranking_has_no_excess():
    assert risk_coverage([0.9, 0.8, 0.7], [0, 0, 1]).excess_area == 0


def test_ties_are_the_mean_over_all_orders():
    confidence, wrong = np.array([0.9, 0.5, 0.5, 0.5]), np.array([0, 1, 0, 0])
    curves = [np.cumsum(np.r_[wrong[:1], wrong[list(order)]]) / np.arange(1, 5) for order in permutations((1, 2, 3))]
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        found = risk_coverage(confidence[order], wrong[order])
        assert found.risk_N == pytest.approx(np.mean(curves, axis=0))


def test_one_source_and_refusals():
    assert risk_coverage([0.5], [1]).area == 1
    with pytest.raises(InputError, match="wrong_N"):
        risk_coverage([0.5, 0.6], [1])
    with pytest.raises(InputError, match="wrong_N"):
        risk_coverage([0.5], [2])
