"""Shift between sets: what is noise at this n, what is not."""

import numpy as np
import pytest
from scipy import stats

from equirgz.errors import InputError
from equirgz.metrics.distance.class_share_shift import class_prior_shift, estimate_class_shares
from equirgz.metrics.distance.feature_shift import compute_shift, measure_shift
from equirgz.metrics.distance.frechet import frechet_distance
from equirgz.metrics.distance.two_sample import classifier_two_sample_test
from equirgz.metrics.ranking import mean_average_precision, precision_at_k


def test_two_halves_of_one_set_differ_by_noise_alone():
    x = np.random.default_rng(0).normal(0, 1, (80, 6))
    found = measure_shift(frechet_distance, x[:40], x[40:], n_draws=60)
    assert found.value > 0.2, "a distance of nothing is not zero at this n"
    assert found.p_value > 0.05 and abs(found.excess) < 0.5 * found.noise_mean and found.value < found.noise_high * 1.2
    assert found.low < found.value < found.high


def test_a_real_shift_stands_out():
    generator = np.random.default_rng(1)
    a, b = generator.normal(0, 1, (60, 4)), generator.normal(1, 1, (50, 4))
    found = measure_shift(frechet_distance, a, b, n_draws=60)
    assert found.p_value == 1 / 61 and found.value > found.noise_high and found.low > 0
    assert found.low < 4.0 < found.high, "the true distance is 4"
    assert found == measure_shift(frechet_distance, a, b, n_draws=60), "seeded"


def test_p_values_are_uniform_without_shift():
    generator = np.random.default_rng(2)
    mean = lambda a, b: abs(a.mean() - b.mean())  # noqa: E731
    p = [measure_shift(mean, *generator.normal(0, 1, (2, 12, 1)), n_draws=39).p_value for _ in range(120)]
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_shift_table():
    generator = np.random.default_rng(3)
    a, b = generator.normal(0, 1, (40, 5)), generator.normal(0.8, 1, (30, 5)) * [1, 1, 1, 1, 100]
    b[:, 3] = a[0, 3]
    rows = compute_shift(np.c_[a, np.ones(40)], np.c_[b, np.ones(30)], n_draws=25)
    assert [row["metric"] for row in rows] == [
        "shift/frechet",
        "shift/mmd_squared",
        "shift/sinkhorn",
        "shift/classifier_auroc",
    ]
    for row in rows:
        assert row["p_value"] < 0.05 and (row["n"], row["n_second"]) == (40, 30), row["metric"]
    thinned = compute_shift(a, b, n_draws=20, max_sources=20)
    assert (thinned[0]["n"], thinned[0]["n_second"]) == (20, 20)


def test_two_sample_classifier():
    generator = np.random.default_rng(4)
    a, b = generator.normal(0, 1, (200, 3)), generator.normal(0, 1, (60, 3))
    assert classifier_two_sample_test(a, b + 1.5).p_value < 1e-6
    none = [classifier_two_sample_test(*generator.normal(0, 1, (2, 30, 3)), seed=s).p_value for s in range(60)]
    assert np.mean(np.array(none) < 0.05) < 0.15 and np.mean(none) == pytest.approx(0.5, abs=0.15)
    assert classifier_two_sample_test(a, b).auroc.n_inside == 100


def test_two_sample_accuracy_is_balanced_and_a_forest_sees_what_a_line_cannot():
    generator = np.random.default_rng(5)
    a, b = generator.normal(0, 1, (300, 2)), generator.normal(0, 1, (60, 2))
    assert classifier_two_sample_test(a, b).accuracy == pytest.approx(0.5, abs=0.12)
    assert classifier_two_sample_test(a, b + 8).accuracy == 1
    ring = 3 * b / np.hypot(*b.T)[:, None]  # around the first set: no line parts them
    assert classifier_two_sample_test(a, ring).accuracy < 0.65
    told = classifier_two_sample_test(a, ring, rule="forest")
    assert told.accuracy > 0.9 and told == classifier_two_sample_test(a, ring, rule="forest")
    with pytest.raises(InputError, match="did you mean 'forest'"):
        classifier_two_sample_test(a, b, rule="forrest")


def test_prior_shift_by_hand_and_against_scipy():
    found = class_prior_shift([30, 70, 0], [60, 40, 0])
    assert found.distance == pytest.approx(0.3)
    assert found.p_value == pytest.approx(stats.chi2_contingency([[30, 70], [60, 40]], correction=False).pvalue)
    assert class_prior_shift([5, 0], [9, 0]).p_value == 1 and class_prior_shift([5, 0], [0, 9]).distance == 1


def test_class_shares_of_unlabelled_sources_are_recovered():
    generator = np.random.default_rng(5)
    y = (generator.random(5000) < 0.85).astype(int)  # trained at one half
    x = generator.normal(2.0 * y - 1, 1)
    p = 1 / (1 + np.exp(-2 * x))  # the calibrated answer for equal shares
    found = estimate_class_shares(np.stack([1 - p, p], 1), [0.5, 0.5])
    assert found[1] == pytest.approx(y.mean(), abs=0.02) and found.sum() == pytest.approx(1)
    assert p.mean() < 0.8, "averaging the answers does not do"


def test_precision_by_hand():
    relevant = np.array([[1, 0, 1, 0], [0, 0, 0, 1]])
    assert precision_at_k(relevant, 1) == 0.5 and precision_at_k(relevant, 4) == pytest.approx(3 / 8)
    assert mean_average_precision(relevant) == pytest.approx(((1 + 2 / 3) / 2 + 1 / 4) / 2)
    assert mean_average_precision([[1, 1], [0, 0]]) == 1, "queries without a relevant entry do not count"


def test_refusals():
    x = np.random.default_rng(6).normal(0, 1, (10, 2))
    with pytest.raises(InputError, match="n_draws"):
        measure_shift(frechet_distance, x, x, n_draws=5)
    with pytest.raises(InputError, match="varies"):
        compute_shift(np.ones((5, 2)), np.ones((5, 2)))
    with pytest.raises(InputError, match="four sources"):
        classifier_two_sample_test(x[:3], x)
    for bad in (([1, -1], [1, 1]), ([0, 0], [1, 1]), ([1], [1, 1])):
        with pytest.raises(InputError, match="class counts"):
            class_prior_shift(*bad)
    with pytest.raises(InputError, match="train_share_K"):
        estimate_class_shares([[0.5, 0.5]], [1.0, 0.0])
    with pytest.raises(InputError, match="k:"):
        precision_at_k([[1, 0]], 3)
    with pytest.raises(InputError, match="relevant"):
        mean_average_precision([[0, 0]])
