"""Power laws: fitted where runs carry them, refused elsewhere."""

import math

import numpy as np
import pytest
from scipy import stats

from equirgz.errors import InputError
from equirgz.metrics.check import UndefinedMetricError
from equirgz.metrics.power_law import fit_power_law

SIZES = np.repeat([50, 100, 200, 400, 800], 4)


def draw(exponent=0.4, noise=0.1, floor=0.0, seed=0):
    generator = np.random.default_rng(seed)
    return floor + 60 * SIZES**-exponent * np.exp(generator.normal(0, noise, len(SIZES)))


def test_equals_linear_regression_in_logarithms():
    error_R = draw()
    found, line = fit_power_law(SIZES, error_R), stats.linregress(np.log(SIZES), np.log(error_R))
    assert found.exponent == pytest.approx(-line.slope) and math.log(found.coefficient) == pytest.approx(line.intercept)
    half = stats.t.ppf(0.975, len(SIZES) - 2) * line.stderr
    assert (found.exponent_low, found.exponent_high) == pytest.approx((-line.slope - half, -line.slope + half))
    assert found.r_squared == pytest.approx(line.rvalue**2)
    assert found.residual_R == pytest.approx(np.log(error_R) - np.log(found.predict(SIZES)))
    assert (found.n_runs, found.n_sizes) == (20, 5)


def test_interval_holds_the_truth_about_as_often_as_it_says():
    fits = [fit_power_law(SIZES, draw(seed=s)) for s in range(300) if not _refused(SIZES, draw(seed=s))]
    assert 0.91 < np.mean([f.exponent_low < 0.4 < f.exponent_high for f in fits]) < 0.985
    bands = [f.interval(1600.0) for f in fits]
    assert 0.9 < np.mean([low < 60 * 1600**-0.4 < high for low, high in bands]) < 0.99


def _refused(*arguments):
    try:
        fit_power_law(*arguments)
    except UndefinedMetricError:
        return True
    return False


def test_floor_is_kept():
    found = fit_power_law(SIZES, draw(floor=2.0), floor=2.0)
    assert found.exponent == pytest.approx(0.4, abs=0.08) and found.predict(1e12) == pytest.approx(2.0, abs=0.01)


def test_refuses_what_the_runs_do_not_carry():
    error_R = draw()
    with pytest.raises(UndefinedMetricError, match="4 sizes"):
        fit_power_law(SIZES[:12], error_R[:12])
    with pytest.raises(UndefinedMetricError, match="factor of 4"):
        fit_power_law([100, 120, 140, 160], [4.0, 3.9, 3.8, 3.7])
    with pytest.raises(UndefinedMetricError, match="falls with size"):
        fit_power_law(SIZES, draw(exponent=0.0))
    with pytest.raises(UndefinedMetricError, match="lack of fit"):
        fit_power_law(SIZES, draw(exponent=1.2, noise=0.02, floor=3.0))


def test_false_refusals_are_rare():
    assert np.mean([_refused(SIZES, draw(seed=s)) for s in range(200)]) < 0.04


def test_one_run_per_size_says_that_fit_cannot_be_judged():
    found = fit_power_law([50, 100, 200, 400, 800], draw()[::4])
    assert math.isnan(found.misfit_p)


def test_bad_numbers():
    for size, error, words in (
        ([1, 2], [1.0], "equally many"),
        ([0, 1, 2, 8], [1.0] * 4, "sizes > 0"),
        ([1, 2, 4, 8], [1.0, 0.5, 0.2, 0.0], "larger test set"),
    ):
        with pytest.raises(InputError, match=words):
            fit_power_law(size, error)
