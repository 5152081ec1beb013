"""Read-outs of features against closed forms and brute force."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from equirgz.answers.fit import MIN_REAL, find_folds, fit_classes, fit_numbers, fit_reference
from equirgz.answers.linear_readouts import ClassReadOut, Reference, nearest
from equirgz.errors import DataError, InputError
from equirgz.evaluate.probe import fit_logistic, linear_probe


@pytest.fixture
def draw():
    return np.random.default_rng(0)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_weights_of_a_logistic_regression_give_the_probabilities_of_the_probe(draw, n_classes):
    y_N = np.arange(90) % n_classes
    h_NF = draw.normal(3, [1, 5, 0.1], (90, 3)) + y_N[:, None]
    weight_KF, bias_K = fit_logistic(h_NF, y_N, 0.1)
    p_NK = softmax(h_NF @ weight_KF.T + bias_K, axis=1)
    np.testing.assert_allclose(p_NK, linear_probe(h_NF, y_N, h_NF, inverse_penalty=0.1), atol=1e-4)


def test_nearest_is_that_of_brute_force_and_nobody_is_its_own(draw):
    z_NF = draw.normal(size=(30, 4))
    full_NN = np.linalg.norm(z_NF[:, None] - z_NF[None], axis=2)
    index_Nk, distance_Nk = nearest(z_NF, z_NF, 3)
    assert (index_Nk[:, 0] == np.arange(30)).all()
    np.testing.assert_allclose(distance_Nk, np.sort(full_NN, 1)[:, :3], atol=1e-6)
    index_Nk, distance_Nk = nearest(z_NF, z_NF, 3, same=True)
    assert (index_Nk != np.arange(30)[:, None]).all()
    np.testing.assert_allclose(distance_Nk, np.sort(full_NN, 1)[:, 1:4], atol=1e-6)


def test_one_per_cent_of_the_sources_seen_lie_beyond_the_limit_and_strangers_do(draw):
    mix_FF = draw.normal(size=(5, 5))
    h_NF = draw.normal(size=(1000, 5)) @ mix_FF
    reference = fit_reference(h_NF)
    _, distance_Nk = nearest(reference.whitened(h_NF), reference.seen_MF, same=True)
    assert 0.005 <= (distance_Nk.mean(1) > float(reference.limit)).mean() <= 0.015
    assert (reference.score(h_NF + 20 * mix_FF[0]) > 1).all()
    assert (reference.alike(h_NF, 1)[:, 0] == np.arange(1000)).all()
    np.testing.assert_allclose(np.cov(reference.whitened(h_NF).T), np.eye(5), atol=0.02)


def test_a_feature_that_never_varies_is_no_distance(draw):
    h_NF = np.c_[draw.normal(size=(100, 2)), np.ones(100)]
    assert np.isfinite(fit_reference(h_NF).score(h_NF)).all()


def test_every_source_is_answered_by_the_read_out_without_its_fold(draw):
    weight_VKF, bias_VK = draw.normal(size=(2, 2, 3)), draw.normal(size=(2, 2))
    read_out = ClassReadOut(weight_VKF[0], bias_VK[0], np.array(2.0), weight_VKF, bias_VK)
    h_NF, fold_N = draw.normal(size=(6, 3)), np.array([0, 1, 1, 0, 1, 0])
    expected = [softmax((weight_VKF[v] @ h + bias_VK[v]) / 2) for h, v in zip(h_NF, fold_N, strict=True)]
    np.testing.assert_allclose(read_out.out_of_fold(h_NF, fold_N), expected)
    np.testing.assert_allclose(read_out.probability(h_NF)[0], expected[0])


def test_the_temperature_is_that_of_answers_out_of_fold(draw):
    """On features that tell nothing, over-confident logits of many features are calmed."""
    h_NF, y_N = draw.normal(size=(60, 6)), np.arange(60) % 2
    read_out, fold_N = fit_classes(h_NF, y_N)
    p_NK = read_out.out_of_fold(h_NF, fold_N)
    assert -np.log(p_NK[np.arange(60), y_N]).mean() < 0.75
    h_NF[:, 0] += 4 * y_N  # and where they tell, answers are right
    read_out, fold_N = fit_classes(h_NF, y_N)
    assert (read_out.out_of_fold(h_NF, fold_N).argmax(1) == y_N).mean() > 0.9


def test_folds_share_the_classes_and_divide_no_group():
    label_N, group_N = np.arange(100) % 2, np.arange(100) // 4
    fold_N = find_folds(label_N, group_N)
    assert all(len(set(fold_N[group_N == g])) == 1 for g in range(25)) and set(fold_N) == set(range(5))
    assert all(label_N[fold_N == v].mean() == 0.5 for v in range(5))
    with pytest.raises(InputError, match="5 or more sources of every class, got 3"):
        find_folds(np.r_[np.zeros(20, int), np.ones(3, int)], None)


def test_intervals_hold_two_thirds_of_the_truths_and_grow_with_the_scatter(draw):
    size_N = np.exp(draw.uniform(2, 5, 6000))
    noise_N = np.where(size_N > 40, 0.5, 0.05) * draw.normal(size=6000)
    regressor_NE = np.c_[np.log(size_N) + noise_N, np.full(6000, np.nan)]
    truth = pd.DataFrame({"las_arcsec": size_N})
    read_out = fit_numbers(regressor_NE[:4500], truth[:4500])
    found = read_out.answers(regressor_NE[4500:], ("las_arcsec",))
    low, high, true = found["las_arcsec_low"], found["las_arcsec_high"], size_N[4500:]
    assert 0.6 < ((low <= true) & (true <= high)).mean() < 0.76
    width = np.log(high / low)
    assert np.median(width[true > 90]) > 3 * np.median(width[true < 15])
    assert (low <= found["las_arcsec"]).all() and (found["las_arcsec"] <= high).all()


def test_what_real_sources_call_a_size_moves_the_answers(draw):
    size_N = np.exp(draw.uniform(2, 5, 900))
    regressor_N1 = np.log(size_N)[:, None]
    truth = pd.DataFrame({"las_arcsec": size_N})
    catalogue = pd.DataFrame({"las_arcsec": np.where(np.arange(900) % 3, 0.5 * size_N, -1.0)})
    found = fit_numbers(regressor_N1, truth, regressor_N1, catalogue).answers(regressor_N1, ("las_arcsec",))
    np.testing.assert_allclose(found["las_arcsec"], 0.5 * size_N, rtol=0.05)
    few = slice(0, MIN_REAL // 2)
    found = fit_numbers(regressor_N1, truth, regressor_N1[few], catalogue[few]).answers(regressor_N1, ("las_arcsec",))
    np.testing.assert_allclose(found["las_arcsec"], size_N, rtol=0.05)


def test_arrays_that_are_missing_are_named():
    with pytest.raises(DataError, match="got no limit"):
        Reference.of({"centre_F": 0, "whiten_FF": 0, "seen_MF": 0})
