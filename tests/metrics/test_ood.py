"""Energy score and AUROC against scikit-learn, scipy and brute force."""

import math

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

from equirgz.errors import InputError
from equirgz.metrics.bootstrap import bootstrap_interval
from equirgz.metrics.ood import auroc, energy_score, false_positive_rate


def test_energy_is_minus_logsumexp():
    logits_NK = np.random.default_rng(0).normal(0, 3, (5, 3))
    assert energy_score(logits_NK) == pytest.approx(-logsumexp(logits_NK, axis=1))
    assert energy_score(logits_NK, 2.0) == pytest.approx(-2 * logsumexp(logits_NK / 2, axis=1))
    assert np.isfinite(energy_score([[1e4, 0.0]])).all()


def test_auroc_equals_scikit_learn_with_ties():
    generator = np.random.default_rng(1)
    inside, outside = generator.integers(0, 6, 50), generator.integers(2, 8, 30)
    expected = roc_auc_score(np.repeat([0, 1], [50, 30]), np.r_[inside, outside])
    assert auroc(inside, outside).value == pytest.approx(expected)
    assert auroc(outside, inside).value == pytest.approx(1 - expected)


def test_auroc_edges():
    assert auroc([1.0, 2.0], [3.0, 4.0]).value == 1 and auroc([5.0, 5.0], [5.0, 5.0]).value == 0.5
    single = auroc([1.0], [2.0])
    assert single.value == 1 and math.isnan(single.low)


def test_delong_interval_is_that_of_the_bootstrap():
    generator = np.random.default_rng(2)
    inside, outside = generator.normal(0, 1, 200), generator.normal(1, 1, 200)
    found = auroc(inside, outside)
    drawn = bootstrap_interval(lambda a, b: auroc(a, b).value, inside, outside, n_draws=300)
    assert (found.low, found.high) == pytest.approx((drawn.low, drawn.high), abs=0.02)


def test_false_positive_rate_equals_brute_force():
    generator = np.random.default_rng(3)
    inside, outside = generator.normal(0, 1, 60), generator.normal(2, 1, 40)
    best = min((inside >= cut).mean() for cut in np.r_[inside, outside] if (outside >= cut).mean() >= 0.95)
    assert false_positive_rate(inside, outside) == best
    assert false_positive_rate(inside, outside, recall=1.0) == (inside >= outside.min()).mean()


def test_refusals():
    for bad in ([], [np.nan]):
        with pytest.raises(InputError):
            auroc(bad, [1.0])
        with pytest.raises(InputError):
            auroc([1.0], bad)
    with pytest.raises(InputError, match="temperature"):
        energy_score([[1.0, 2.0]], 0)
    with pytest.raises(InputError, match="recall"):
        false_positive_rate([1.0], [1.0], 0)
