"""Intervals against scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from equirgz.errors import InputError
from equirgz.metrics.interval import student_interval, wilson_interval


def test_student_equals_scipy():
    values = np.random.default_rng(0).normal(5, 2, 6)
    found = student_interval(values, 0.9)
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.9, 5, values.mean(), stats.sem(values)))
    assert found.n == 6


@pytest.mark.parametrize("values", [[3.0], [0.1, 0.1, 0.1], [0.0, 0.0]])
def test_runs_that_tell_no_spread_have_no_interval(values):
    found = student_interval(values)
    assert found.mean == values[0] and math.isnan(found.half_width) and found.n == len(values)


@pytest.mark.parametrize("right, n", [(0, 1), (1, 1), (0, 50), (7, 20), (104, 104)])
def test_wilson_equals_scipy(right, n):
    expected = stats.binomtest(right, n).proportion_ci(method="wilson")
    assert wilson_interval(right, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_refusals():
    for values in ([], [np.nan], [[1.0]]):
        with pytest.raises(InputError):
            student_interval(values)
    with pytest.raises(InputError, match="level"):
        student_interval([1.0, 2.0], 95)
    for right, n in ((1, 0), (3, 2), (-1, 2)):
        with pytest.raises(InputError, match="counts"):
            wilson_interval(right, n)
