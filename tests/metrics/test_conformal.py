"""Conformal sets keep their promise."""

import math

import numpy as np
import pytest

from equirgz.errors import InputError
from equirgz.metrics.uncertainty.conformal import fit_conformal, measure_sets, predict_sets


def draw(generator, n, k=4, sharpness=2.0):
    """Overconfident predictions: labels drawn from a flatter distribution than stated."""
    logits = generator.normal(0, sharpness, (n, k))
    true = np.exp(logits / 3)
    true /= true.sum(1, keepdims=True)
    stated = np.exp(logits - logits.max(1, keepdims=True))
    stated /= stated.sum(1, keepdims=True)
    return stated, (generator.random(n)[:, None] > true.cumsum(1)).sum(1).clip(max=k - 1)


@pytest.mark.parametrize("score", ["threshold", "adaptive"])
@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_promise_holds_for_an_overconfident_model(score, coverage):
    generator = np.random.default_rng(0)
    held = []
    for _ in range(60):
        rule = fit_conformal(*draw(generator, 99), coverage, score)
        p_NK, target_N = draw(generator, 200)
        held.append(measure_sets(predict_sets(rule, p_NK), target_N).coverage)
    assert np.mean(held) > coverage - 0.015
    if score == "threshold":  # adaptive sets without randomisation hold more than promised
        assert np.mean(held) < coverage + 0.03


def test_limit_by_hand():
    p_NK = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.7, 0.3]])
    rule = fit_conformal(p_NK, [0, 0, 0, 0], coverage=0.6)  # ceil(5 * 0.6) = 3rd smallest of .1 .2 .3 .6
    assert rule.limit == pytest.approx(0.3) and rule.n_calibration == 4
    assert predict_sets(rule, [[0.7, 0.3], [0.5, 0.5]]).tolist() == [[True, False], [False, False]]
    adaptive = fit_conformal(p_NK, [0, 0, 0, 0], 0.6, "adaptive")  # masses .9 .8 1 .7 -> 3rd smallest
    assert adaptive.limit == pytest.approx(0.9)


def test_ties_and_certainties_are_held():
    rule = fit_conformal([[1.0, 0.0]] * 20, [0] * 20, 0.9)
    assert predict_sets(rule, [[1.0, 0.0], [0.0, 1.0]]).tolist() == [[True, False], [False, True]]
    tied = fit_conformal([[0.5, 0.5]] * 20, [0] * 20, 0.9, "adaptive")
    assert predict_sets(tied, [[0.5, 0.5]]).all()


def test_too_few_calibration_sources_give_full_sets():
    rule = fit_conformal([[0.9, 0.1]] * 8, [0] * 8, 0.9)
    assert rule.limit == math.inf and predict_sets(rule, [[1.0, 0.0]]).all()


def test_quality_of_sets():
    found = measure_sets(np.array([[True, True], [False, False], [True, False], [False, True]]), [0, 0, 0, 0])
    assert (found.coverage, found.mean_size, found.empty, found.single) == (0.5, 1.0, 0.25, 0.5)
    assert found.low < 0.5 < found.high


def test_refusals():
    with pytest.raises(InputError, match="coverage"):
        fit_conformal([[0.5, 0.5]], [0], 1.0)
    with pytest.raises(InputError, match="did you mean 'adaptive'"):
        fit_conformal([[0.5, 0.5]], [0], 0.9, "adaptve")
    with pytest.raises(InputError, match="boolean"):
        measure_sets(np.zeros((2, 2)), [0, 0])
