"""Linear probe and kNN against scikit-learn, brute force and closed cases."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from equirgz.errors import InputError
from equirgz.evaluate import choose_penalty, knn, linear_probe
from equirgz.evaluate.probe import PENALTY_PATH

RNG = np.random.default_rng(0)
Y = np.arange(60) % 3
H = RNG.normal(size=(60, 5)) * [1, 100, 1e-3, 1, 1] + np.eye(3, 5)[Y] * [1, 100, 1e-3, 1, 1]
QUERY = RNG.normal(size=(20, 5))


def test_linear_probe_is_standardised_logistic_regression() -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(H, Y)
    assert np.allclose(linear_probe(H, Y, QUERY, inverse_penalty=1.0), model.predict_proba(QUERY), atol=1e-9)
    # Units of a feature do not matter.
    scale = np.array([1e3, 1, 1, 1e-4, 1])
    assert np.allclose(linear_probe(H * scale, Y, QUERY * scale), linear_probe(H, Y, QUERY), atol=1e-4)


def test_a_missing_class_gets_zero_and_keeps_its_column() -> None:
    keep = Y != 1
    for readout in (linear_probe, knn):
        p = readout(H[keep], Y[keep], QUERY, n_classes=4)
        assert p.shape == (20, 4) and np.all(p[:, [1, 3]] == 0) and np.allclose(p.sum(1), 1)


def test_constant_features_do_no_harm() -> None:
    padded = np.c_[H, np.full(60, 7.0)]
    assert np.allclose(linear_probe(padded, Y, np.c_[QUERY, np.full(20, 7.0)]), linear_probe(H, Y, QUERY), atol=1e-6)


def test_knn_without_temperature_is_the_vote_of_scikit_learn() -> None:
    model = KNeighborsClassifier(7, metric="cosine").fit(H, Y)
    assert np.allclose(knn(H, Y, QUERY, k=7, temperature=np.inf), model.predict_proba(QUERY))


def test_knn_weights_against_brute_force() -> None:
    p = knn(H, Y, QUERY, k=9, temperature=0.2)
    for query, got in zip(QUERY, p, strict=True):
        cosine = H @ query / np.linalg.norm(H, axis=1) / np.linalg.norm(query)
        nearest = np.argsort(-cosine)[:9]
        votes = [sum(np.exp(cosine[i] / 0.2) for i in nearest if Y[i] == c) for c in range(3)]
        assert np.allclose(got, np.array(votes) / sum(votes))


def test_knn_edges() -> None:
    assert np.array_equal(knn(H, Y, H, k=1), np.eye(3)[Y])  # each is its own neighbour
    assert np.allclose(knn(H, Y, QUERY, k=10_000), knn(H, Y, QUERY, k=60))
    assert np.isfinite(knn(H, Y, np.zeros((1, 5)))).all()
    assert np.isfinite(knn(H, Y, QUERY, temperature=1e-9)).all()


@pytest.mark.parametrize("readout", [linear_probe, knn])
def test_bad_input(readout) -> None:
    with pytest.raises(InputError, match="features"):
        readout(H, Y, QUERY[:, :4])
    with pytest.raises(InputError, match="labels"):
        readout(H, Y - 1, QUERY)
    with pytest.raises(InputError, match="n_classes"):
        readout(H, Y, QUERY, n_classes=2)
    bad = H.copy()
    bad[3, 2] = np.nan
    with pytest.raises(InputError, match="NaN"):
        readout(bad, Y, QUERY)
    if readout is linear_probe:
        with pytest.raises(InputError, match="at least 2 classes"):
            linear_probe(H, np.zeros(60, int), QUERY)
    else:
        with pytest.raises(InputError, match="k >= 1"):
            knn(H, Y, QUERY, k=0)


def test_the_penalty_is_that_of_the_lowest_nll_of_sources_left_out() -> None:
    folds = StratifiedKFold(5, shuffle=True, random_state=0)

    def nll(c: float) -> float:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=1000))
        return log_loss(Y, cross_val_predict(model, H, Y, cv=folds, method="predict_proba"))

    path = (1e-3, 1e-1, 10.0, 1e3)
    chosen, brute = choose_penalty(H, Y, path), [nll(c) for c in path]
    assert chosen.inverse_penalty == path[int(np.argmin(brute))]
    assert chosen.nll == pytest.approx(min(brute), rel=1e-3) and 0 < chosen.error < 0.5
    assert chosen == choose_penalty(H, Y, path[::-1]), "the order of the path, or chance, matters"


def test_features_choose_their_own_penalty() -> None:
    rng = np.random.default_rng(1)
    y = np.arange(80) % 2
    noise = rng.normal(size=(80, 40))
    assert choose_penalty(noise, y).inverse_penalty <= 1e-3, "of noise as little as there is"
    # A class told by the small difference of two nearly equal features needs weights that a strong penalty forbids.
    common = rng.normal(size=(80, 1))
    collinear = np.c_[common, common + 0.02 * (2 * y[:, None] - 1) + 0.005 * rng.normal(size=(80, 1))]
    found = choose_penalty(collinear, y)
    assert found.inverse_penalty == PENALTY_PATH[-1] and found.nll < 0.55
    strong = linear_probe(collinear, y, collinear, inverse_penalty=0.01)
    assert np.abs(strong - 0.5).max() < 0.1


def test_a_class_with_one_source_leaves_nothing_to_choose_by() -> None:
    y = np.r_[np.zeros(9, int), 1]
    found = choose_penalty(H[:10], y)
    assert found.inverse_penalty == PENALTY_PATH[len(PENALTY_PATH) // 2] and np.isnan(found.nll)
    assert np.isfinite(linear_probe(H[:10], y, QUERY)).all()


@pytest.mark.parametrize("value", [0, -1.0, np.inf, np.nan, "best", True])
def test_a_penalty_that_is_none_is_one_line(value) -> None:
    with pytest.raises(InputError, match="inverse_penalty: expected a positive number or cv"):
        linear_probe(H, Y, QUERY, inverse_penalty=value)
