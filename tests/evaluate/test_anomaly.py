"""Anomaly ranking: outliers first, and ratings that pull out a wanted kind among many strange ones."""

from __future__ import annotations

import numpy as np
import pytest

from equirgz.errors import InputError
from equirgz.evaluate.anomaly import METHODS, AnomalySearch, compute_anomaly


def _survey(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """300 ordinary sources, 20 odd ones nobody wants, 10 odd ones that are wanted."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(330, 8))
    features[300:320] += 5 * np.eye(8)[0]
    features[320:] += 4 * np.eye(8)[1]
    return features, (np.arange(330) >= 320).astype(float)


@pytest.mark.parametrize("method", METHODS)
def test_an_outlier_has_the_highest_score(method: str) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(100, 5)) * 0.3 + np.array([4, 0, 0, 0, 0])
    features[17] = [0, 0, 0, 0, -9]
    score = compute_anomaly(features, method)
    assert score.shape == (100,) and score.argmax() == 17
    assert np.array_equal(score, compute_anomaly(features, method))


def test_ratings_find_the_wanted_kind_sooner() -> None:
    features, wanted = _survey()
    search = AnomalySearch(features)
    assert set(search.propose(5)) == set(search.rank()[:5])
    for _ in range(8):
        shown = search.propose(5)
        assert not set(shown) & set(search.ratings), "a rated source was shown again"
        search.tell(shown, wanted[shown])
    found_active = sum(search.ratings.values())
    found_passive = wanted[AnomalySearch(features).rank()[:40]].sum()
    assert found_active >= 9 and found_active > found_passive
    assert wanted[search.rank()[:10]].mean() >= 0.9


def test_predictions_follow_the_ratings_and_their_scale() -> None:
    features, wanted = _survey()
    search = AnomalySearch(features)
    seen = np.r_[0:20, 300:305, 320:328]
    search.tell(seen, 10 * wanted[seen])
    mean, deviation = search.predict()
    assert mean[328:].mean() > 3 * abs(mean[300:320].mean()) and 4 < mean[328:].mean() < 12
    assert deviation[seen].mean() < deviation.mean()
    search.tell(320, 0.0)
    assert search.ratings[320] == 0 and len(search.ratings) == len(seen)


def test_what_ratings_do_not_tell_apart_stands_as_in_the_first_ranking() -> None:
    features, _ = _survey()
    search = AnomalySearch(features)
    first = search.rank()
    search.tell(first[:5], np.zeros(5))
    assert np.array_equal(search.rank(), first), "equal ratings tell nothing"
    search.predict = lambda: (np.zeros(len(features)), np.ones(len(features)))  # a process that has learnt nothing
    assert np.array_equal(search.propose(7), first[5:12])


def test_all_rated_and_constant_ratings() -> None:
    features = np.random.default_rng(0).normal(size=(12, 3))
    search = AnomalySearch(features)
    search.tell(np.arange(12), np.zeros(12))
    assert len(search.propose(3)) == 0 and len(search.rank()) == 12


def test_bad_input() -> None:
    features, _ = _survey()
    with pytest.raises(InputError, match="unknown 'lof'"):
        compute_anomaly(features, "lof")
    with pytest.raises(InputError, match="at least 2"):
        compute_anomaly(features[:1])
    with pytest.raises(InputError, match="NaN"):
        AnomalySearch(features * np.nan)
    search = AnomalySearch(features)
    with pytest.raises(InputError, match="at least one rating"):
        search.predict()
    with pytest.raises(InputError, match="0 to 329"):
        search.tell(330, 1.0)
    with pytest.raises(InputError, match="finite"):
        search.tell(3, np.nan)
