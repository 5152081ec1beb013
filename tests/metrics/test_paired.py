"""Paired tests and Holm's correction against scipy and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from equirgz.errors import InputError
from equirgz.metrics.compare.paired import adjust_holm, paired_t_test, paired_wilcoxon_test


def test_paired_t_equals_scipy():
    generator = np.random.default_rng(0)
    a, b = generator.normal(1, 1, 8), generator.normal(0, 1, 8)
    found = paired_t_test(a, b)
    assert found.p_value == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert found.effect_size == pytest.approx((a - b).mean() / (a - b).std(ddof=1))
    assert found.mean_difference == pytest.approx((a - b).mean()) and found.n == 8


def test_abstains_without_spread():
    for a, b in (([5.0], [4.0]), ([5.0, 6.0, 7.0], [4.0, 5.0, 6.0]), ([1.0, 2.0], [1.0, 2.0])):
        found = paired_t_test(a, b)
        assert math.isnan(found.p_value) and math.isnan(found.effect_size)
    third = 100 / 3  # rounding is no spread
    assert math.isnan(paired_t_test([third, 2 * third, 0.1 + 0.2], [0.0, third, 0.3 - third]).p_value)


def test_wilcoxon_is_exact():
    assert paired_wilcoxon_test(np.arange(1.0, 7), np.zeros(6)).p_value == pytest.approx(2 / 2**6)
    assert math.isnan(paired_wilcoxon_test([1.0, 2.0], [1.0, 2.0]).p_value)


def test_holm_by_hand():
    assert adjust_holm([0.01, 0.02, 0.03, 0.5]).tolist() == pytest.approx([0.04, 0.06, 0.06, 0.5])
    assert adjust_holm([0.6, 0.9]).tolist() == [1.0, 1.0]
    assert adjust_holm([]).tolist() == []


def test_holm_leaves_out_who_abstained():
    found = adjust_holm([0.01, math.nan, 0.04])
    assert found[[0, 2]].tolist() == pytest.approx([0.02, 0.04]) and math.isnan(found[1])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_none_and_bonferroni_and_keeps_order(p_values):
    adjusted = adjust_holm(p_values)
    p = np.array(p_values)
    assert (adjusted >= p - 1e-15).all() and (adjusted <= np.minimum(1, p * len(p)) + 1e-15).all()
    assert (np.diff(adjusted[p.argsort(kind="stable")]) >= 0).all()


def test_refusals():
    with pytest.raises(InputError, match="as many"):
        paired_t_test([1.0], [1.0, 2.0])
    with pytest.raises(InputError, match="p-values"):
        adjust_holm([1.2])
