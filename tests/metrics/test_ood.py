"""Energy score and AUROC against scikit-learn, scipy and brute force."""

import math

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from equirgz.errors import InputError
from equirgz.metrics.compare.bootstrap import bootstrap_interval
from equirgz.metrics.uncertainty.out_of_distribution import auroc, energy_score, false_positive_rate


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
    apart, turned = auroc(np.arange(5), np.arange(5, 9)), auroc(np.arange(5, 9), np.arange(5))
    assert (apart.value, apart.high, turned.value, turned.low) == (1, 1, 0, 0)
    assert 0.5 < apart.low < 0.75 and turned.high == pytest.approx(1 - apart.low)
    single = auroc([1.0], [2.0])
    assert single.value == 1 and 0 < single.low < single.high == 1
    assert auroc(np.arange(500), np.arange(500, 900)).low > 0.98
    tied = auroc([5.0] * 9, [5.0] * 4)
    assert tied.low < 0.3 and tied.high > 0.7


DRAWS = {
    "normal": lambda g, size, area: (g.normal(0, 1, size[0]), g.normal(math.sqrt(2) * norm.ppf(area), 1, size[1])),
    "wide outside": lambda g, size, area: (
        g.normal(0, 1, size[0]), g.normal(math.sqrt(5) * norm.ppf(area), 2, size[1])
    ),
    "exponential": lambda g, size, area: (
        g.exponential(1, size[0]), g.exponential(area / (1 - area), size[1])
    ),
}  # fmt: skip


@pytest.mark.parametrize("size", [(104, 4), (104, 20), (20, 20)])
@pytest.mark.parametrize("area", [0.5, 0.8, 0.95])
def test_the_interval_holds_the_true_area(size, area):
    """The promise is 95 %; 0.94 less two standard errors of 300 draws is asked of every shape of the scores."""
    for name, draw in DRAWS.items():
        generator = np.random.default_rng(7)
        found = [auroc(*draw(generator, size, area)) for _ in range(300)]
        held = np.mean([f.low <= area <= f.high for f in found])
        assert held > 0.94 - 2 * math.sqrt(0.94 * 0.06 / 300), name
        assert all(f.low < f.high for f in found)


def test_the_interval_says_something():
    generator = np.random.default_rng(8)
    widths = [
        np.mean([f.high - f.low for f in (auroc(*DRAWS["normal"](generator, size, 0.8)) for _ in range(100))])
        for size in ((104, 4), (104, 20), (104, 100))
    ]
    assert widths == sorted(widths, reverse=True) and widths[0] < 0.6 and widths[2] < 0.15


def test_interval_of_many_sources_is_that_of_the_bootstrap():
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
