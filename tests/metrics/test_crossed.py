"""The test over seeds and sources at once."""

import math

import numpy as np
import pytest
from scipy import stats

from equirgz.errors import InputError
from equirgz.metrics.compare.crossed import crossed_test


def draw(generator, n_runs, n_sources, by_run, by_source, noise, mean=0.0):
    run, source = generator.normal(0, by_run, (n_runs, 1)), generator.normal(0, by_source, (1, n_sources))
    return mean + run + source + generator.normal(0, noise, (n_runs, n_sources))


@pytest.mark.parametrize(
    "by_run, by_source, noise", [(0.1, 0.0, 0.5), (0.0, 1.0, 0.1), (0.1, 1.0, 0.3), (0.0, 0.0, 1.0)]
)
def test_false_alarms_are_no_more_than_promised(by_run, by_source, noise):
    generator = np.random.default_rng(0)
    p = [crossed_test(draw(generator, 3, 100, by_run, by_source, noise)).p_value for _ in range(600)]
    assert np.mean(np.array(p) < 0.05) < 0.09  # Satterthwaite's degrees of freedom are a little generous


def test_finds_what_is_there_with_three_seeds():
    generator = np.random.default_rng(1)
    found = [crossed_test(draw(generator, 3, 400, 0.02, 0.5, 0.3, mean=0.15)) for _ in range(50)]
    assert np.mean([f.p_value < 0.05 for f in found]) > 0.9
    assert np.mean([f.mean - f.half_width < 0.15 < f.mean + f.half_width for f in found]) > 0.88


def test_one_seed_is_the_t_test_over_sources():
    d = np.random.default_rng(2).normal(0.1, 1, 50)
    found = crossed_test(d[None])
    assert found.p_value == pytest.approx(stats.ttest_1samp(d, 0).pvalue) and math.isnan(found.effect_size)


def test_sources_that_all_agree_leave_the_t_test_over_seeds():
    runs = np.array([0.3, 0.1, 0.2, 0.4])
    found = crossed_test(np.tile(runs[:, None], (1, 30)))
    assert found.p_value == pytest.approx(stats.ttest_1samp(runs, 0).pvalue)
    assert found.effect_size == pytest.approx(runs.mean() / runs.std(ddof=1))


def test_no_difference_at_all_abstains():
    assert math.isnan(crossed_test(np.zeros((3, 10))).p_value)


def test_refusals():
    for bad in (np.zeros((3, 1)), np.zeros(3), np.full((2, 3), np.nan)):
        with pytest.raises(InputError):
            crossed_test(bad)
