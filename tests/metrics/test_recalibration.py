"""Ways to mend probabilities, against closed forms, scikit-learn and what each of them promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_softmax, logit
from sklearn.isotonic import IsotonicRegression

from equirgz.errors import InputError
from equirgz.metrics.calibration.ece import expected_calibration_error
from equirgz.metrics.calibration.recalibration import RECALIBRATIONS, fit_recalibration
from equirgz.metrics.check import UndefinedMetricError

NAMES = sorted(RECALIBRATIONS)


def draw(n, n_classes=2, sure=3.0, seed=0):
    """Logits that are ``sure`` times too large, and labels drawn at their right size."""
    generator = np.random.default_rng(seed)
    logits_NK = generator.normal(0, 1.5, (n, n_classes))
    p_NK = np.exp(log_softmax(logits_NK, axis=1))
    target_N = (generator.random(n)[:, None] > p_NK.cumsum(1)[:, :-1]).sum(1)
    return sure * logits_NK, target_N


def nll(p_NK, target_N):
    return float(-np.log(p_NK[np.arange(len(target_N)), target_N]).mean())


def test_the_four_are_there():
    assert NAMES == ["isotonic", "platt", "temperature", "vector"]


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("name", NAMES)
def test_a_network_that_is_too_sure_is_mended_on_sources_that_were_not_fitted_on(name, n_classes):
    found = fit_recalibration(name, *draw(1500, n_classes))
    logits_NK, target_N = draw(3000, n_classes, seed=1)
    before, after = np.exp(log_softmax(logits_NK, axis=1)), found.apply(logits_NK)
    np.testing.assert_allclose(after.sum(1), 1, atol=1e-12)
    assert (after >= 0).all() and nll(after, target_N) < nll(before, target_N) - 0.1
    assert expected_calibration_error(after, target_N) < 0.5 * expected_calibration_error(before, target_N)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(12, 60), sure=st.floats(0.2, 6))
@pytest.mark.parametrize("name", NAMES)
def test_the_nll_of_the_fitting_sources_does_not_rise(name, seed, n, sure):
    logits_NK, target_N = draw(n, sure=sure, seed=seed)
    try:
        found = fit_recalibration(name, logits_NK, target_N)
    except UndefinedMetricError:
        return
    before = nll(np.exp(log_softmax(logits_NK, axis=1)), target_N)
    after = nll(found.apply(logits_NK), target_N)
    room = np.log((n + 2) / (n + 1)) if name == "isotonic" else 0
    assert after <= before + room + 1e-6
    assert found.value == pytest.approx(after) or name == "temperature"


def test_platt_has_the_closed_form_of_two_scores():
    """At log odds +2 three of four are right, at -2 one of four: the likelihood is greatest where both shares hold."""
    logits_NK = np.array([[0.0, 2.0]] * 4 + [[0.0, -2.0]] * 4)
    found = fit_recalibration("platt", logits_NK, np.array([1, 1, 1, 0, 0, 0, 0, 1]))
    s = np.array([-5.0, 0.0, 1.0])
    expected = expit(logit(0.75) / 2 * s)
    np.testing.assert_allclose(found.apply(np.stack([0 * s, s], 1))[:, 1], expected, atol=1e-5)


def test_vector_scaling_finds_the_offset_and_the_weight_that_labels_were_drawn_at():
    generator = np.random.default_rng(3)
    logits_NK = generator.normal(0, 1, (20_000, 3))
    weight_K, offset_K = np.array([2.0, 1.0, 0.5]), np.array([0.5, 0.0, -0.5])
    true_NK = np.exp(log_softmax(logits_NK * weight_K + offset_K, axis=1))
    target_N = (generator.random(20_000)[:, None] > true_NK.cumsum(1)[:, :-1]).sum(1)
    found = fit_recalibration("vector", logits_NK, target_N)
    assert np.abs(found.apply(logits_NK) - true_NK).max() < 0.03


def test_isotonic_is_scikit_learns_and_keeps_away_from_certainty():
    logits_NK, target_N = draw(200)
    p_N = np.exp(log_softmax(logits_NK, axis=1)[:, 1])
    found = fit_recalibration("isotonic", logits_NK, target_N).apply(logits_NK)
    expected = IsotonicRegression().fit(p_N, target_N).predict(p_N).clip(1 / 202, 201 / 202)
    np.testing.assert_allclose(found[:, 1], expected)
    assert np.isfinite(nll(found, 1 - target_N)), "a step of 0 is no certainty"


def test_isotonic_needs_no_error_to_be_fitted():
    logits_NK = np.array([[0.0, -2.0], [0.0, -1.0], [0.0, 1.0], [0.0, 2.0]])
    found = fit_recalibration("isotonic", logits_NK, np.array([0, 0, 1, 1])).apply(logits_NK)
    np.testing.assert_allclose(found[:, 1], [1 / 6, 1 / 6, 5 / 6, 5 / 6])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
@pytest.mark.parametrize("name", ["temperature", "platt", "isotonic"])
def test_the_order_of_sources_is_kept(name, seed):
    logits_NK, target_N = draw(60, seed=seed)
    z_NK = np.stack([np.zeros(200), np.linspace(-40, 40, 200)], 1)
    try:
        p_N = fit_recalibration(name, logits_NK, target_N).apply(z_NK)[:, 1]
    except UndefinedMetricError:
        return
    rises = (np.diff(p_N) >= -1e-12).all()
    falls = name == "platt" and (np.diff(p_N) <= 1e-12).all()  # where the network is worse than chance
    assert rises or falls
    if name == "temperature":
        assert ((p_N > 0.5) == (z_NK[:, 1] > 0)).all(), "and the most probable class"


def test_scores_worse_than_chance_are_turned_by_platt_and_levelled_by_isotonic():
    logits_NK, target_N = draw(400)
    backwards = 1 - target_N
    p_N = fit_recalibration("platt", logits_NK, backwards).apply(logits_NK)[:, 1]
    assert ((p_N > 0.5) == backwards).mean() > 0.7
    level_N = fit_recalibration("isotonic", logits_NK, backwards).apply(logits_NK)[:, 1]
    assert np.ptp(level_N) < 0.5


@pytest.mark.parametrize("name", ["temperature", "platt", "vector"])
def test_sources_told_apart_without_an_error_fix_no_fit(name):
    with pytest.raises(UndefinedMetricError, match=f"^{name}: expected .*sources that fix it, got "):
        fit_recalibration(name, [[3.0, 0.0], [0.0, 2.0], [0.0, 1.0]], [0, 1, 1])


@pytest.mark.parametrize("name", NAMES)
def test_refusals(name):
    logits_NK, target_N = draw(20)
    with pytest.raises(UndefinedMetricError, match="class 1 alone"):
        fit_recalibration(name, logits_NK, target_N * 0 + 1)
    with pytest.raises(InputError, match="finite"):
        fit_recalibration(name, logits_NK * np.nan, target_N)
    with pytest.raises(InputError, match="class indices"):
        fit_recalibration(name, logits_NK, target_N + 1)
    with pytest.raises(InputError, match="two classes"):
        fit_recalibration(name, logits_NK[:, :1], target_N * 0)
    with pytest.raises(InputError, match="isotonic"):
        fit_recalibration("isotonik", logits_NK, target_N)


def test_a_class_that_no_fitting_source_has_keeps_its_probability_before_all_are_divided():
    logits_NK, target_N = draw(300, 3)
    two_N = np.where(target_N == 2, 1, target_N)
    for name in ("platt", "isotonic"):
        found = fit_recalibration(name, logits_NK, two_N).apply(logits_NK)
        assert np.isfinite(found).all() and np.allclose(found.sum(1), 1)
