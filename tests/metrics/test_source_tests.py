"""Tests over sources: McNemar, paired bootstrap, required numbers."""

import numpy as np
import pytest
from scipy import stats

from equirgz.errors import InputError
from equirgz.metrics.compare.source_tests import mcnemar_test, paired_bootstrap, required_sources
from equirgz.metrics.error import error_rate


@pytest.mark.parametrize("b, c", [(0, 0), (1, 0), (5, 5), (12, 3), (0, 6), (3, 4)])
def test_mcnemar_equals_the_binomial_test(b, c):
    first = np.r_[np.ones(b), np.zeros(c), np.ones(4), np.zeros(9)]
    second = np.r_[np.zeros(b), np.ones(c), np.ones(4), np.zeros(9)]
    found = mcnemar_test(first, second)
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert found.p_value == pytest.approx(expected)
    assert (found.only_first, found.only_second, found.n) == (b, c, b + c + 13)
    assert found.difference_percent == pytest.approx(100 * (b - c) / (b + c + 13))


def test_one_image_is_no_difference():
    assert mcnemar_test([1] + [0] * 103, [0] * 104).p_value == 1.0


def test_paired_bootstrap_is_narrower_than_unpaired_for_alike_classifiers():
    generator = np.random.default_rng(0)
    target_N = generator.integers(0, 2, 300)
    p_N = np.where(target_N == 1, 0.9, 0.1) + generator.normal(0, 0.35, 300)
    first = np.stack([1 - p_N.clip(0, 1), p_N.clip(0, 1)], 1)
    q_N = (p_N + generator.normal(0, 0.02, 300)).clip(0, 1)
    second = np.stack([1 - q_N, q_N], 1)
    found = paired_bootstrap(error_rate, first, second, target_N, n_draws=400)
    assert found.value == pytest.approx(error_rate(first, target_N) - error_rate(second, target_N))
    assert found.low <= 0 <= found.high and found.high - found.low < 4
    worse = paired_bootstrap(error_rate, first[:, ::-1], second, target_N, n_draws=400)
    assert worse.low > 0


def test_required_sources_reaches_its_power():
    n = required_sources(5.0, 12.0)
    generator = np.random.default_rng(1)
    only_first, only_second = 0.085, 0.035  # differ by 5 %, disagree on 12 %
    drawn = generator.multinomial(n, [only_first, only_second, 1 - 0.12], 3000)
    p = 2 * stats.binom.cdf(drawn[:, :2].min(1), drawn[:, :2].sum(1), 0.5)
    assert 0.74 < (p < 0.05).mean() < 0.84


def test_required_sources_falls_with_the_difference():
    numbers = [required_sources(d, 10.0) for d in (1, 2, 5, 10)]
    assert numbers == sorted(numbers, reverse=True) and numbers[0] > 7000
    assert required_sources(2.0) < required_sources(2.0, 5.0) and required_sources(-2.0) == required_sources(2.0)


def test_refusals():
    with pytest.raises(InputError, match="equal, non-empty"):
        mcnemar_test([1], [1, 0])
    with pytest.raises(InputError, match="true or false"):
        mcnemar_test([0.5], [1])
    with pytest.raises(InputError, match="shape"):
        paired_bootstrap(error_rate, [[0.5, 0.5]], [[0.2, 0.3, 0.5]], [0])
    for bad in ((0.0, 5.0), (5.0, 4.0), (101.0, None)):
        with pytest.raises(InputError, match="difference"):
            required_sources(*bad)
    with pytest.raises(InputError, match="power"):
        required_sources(1.0, power=1.0)
