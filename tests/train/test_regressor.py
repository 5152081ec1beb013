"""The regressor: scikit-learn's customs, numbers that are learnt, and what is refused."""

from __future__ import annotations

import functools
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import estimator_checks_generator

import equirgz
from equirgz.errors import InputError
from equirgz.train.estimators.regressor import EquirgzRegressor
from tests.tasks.toy import make_blobs
from tests.train.test_customs import EXCLUDED, TINY, padded


class Padded(EquirgzRegressor):
    """The estimator, for arrays that hold no square number of pixels."""

    def _prepare(self, X, network):
        return super()._prepare(padded(X), network)


def applicable():
    return [
        pytest.param(check, id=name)
        for _, check in estimator_checks_generator(Padded(**TINY))
        if (name := (check.func if isinstance(check, functools.partial) else check).__name__) not in OTHERS
    ]


OTHERS = {*EXCLUDED, "check_regressors_train"}  # it wants a fit of 0.5 after two updates


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("check", applicable())
def test_check_of_scikit_learn(check):
    check(Padded(**TINY))


@pytest.fixture(scope="module")
def blobs():
    images = make_blobs(24)
    known_N = images.table["las_arcsec"].notna().to_numpy()
    return images.image_NHW[known_N], images.table["las_arcsec"].to_numpy()[known_N]


def test_sizes_are_learnt_and_the_score_is_the_explained_variance(blobs):
    X, y = blobs
    scores = []
    for seed in range(3):
        options = TINY | {"steps": 80, "lr": 0.01, "batch_size": 16, "random_state": seed}
        model = equirgz.EquirgzRegressor(**options).fit(X, y)
        assert model.predict(X).shape == y.shape
        assert model.score(X, y) == pytest.approx(r2_score(y, model.predict(X)))
        weight_N = np.arange(len(y)) + 1.0
        assert model.score(X, y, weight_N) == pytest.approx(r2_score(y, model.predict(X), sample_weight=weight_N))
        scores.append(model.score(X, y))
    assert sorted(scores)[1] > 0.5


def test_it_works_in_pipelines_and_with_several_numbers(blobs):
    X, y = blobs
    several = EquirgzRegressor(**TINY).fit(X, np.stack([y, -y], 1))
    assert several.predict(X).shape == (len(y), 2) and several.n_outputs_ == 2
    again = pickle.loads(pickle.dumps(several))
    np.testing.assert_array_equal(again.predict(X), several.predict(X))
    inlog = TransformedTargetRegressor(EquirgzRegressor(**TINY), func=np.log10, inverse_func=lambda v: 10**v)
    assert (inlog.fit(X, y).predict(X) > 0).all()
    assert len(cross_val_score(clone(EquirgzRegressor(**TINY)), X, y, cv=2)) == 2
    assert several.transform(X).shape == (len(y), several.encoder_.num_features)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda y: ["FRI"] * len(y), "texts are classes: EquirgzClassifier"),
        (lambda y: np.where(y > 20, np.nan, y), "NaN or infinity.*leave sources without a number out"),
        (lambda y: [None, *y[1:]], "1 missing"),
        (lambda y: np.ones(len(y)), "values to learn from: expected at least two"),
        (lambda y: y[:-1], "one per image"),
        (lambda y: y[:, None, None], r"shape \(N,\) or \(N, T\)"),
    ],
)
def test_numbers_that_cannot_be_learnt_are_one_line(change, words, blobs):
    X, y = blobs
    with pytest.raises(InputError, match=words) as caught:
        EquirgzRegressor(**TINY).fit(X, change(y))
    assert "\n" not in str(caught.value)
