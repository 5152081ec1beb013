"""Distances with their default arguments give a number on ordinary features, at any scale of theirs."""

from __future__ import annotations

import numpy as np
import pytest

from equirgz.metrics.distance.feature_shift import compute_shift
from equirgz.metrics.distance.frechet import frechet_distance
from equirgz.metrics.distance.mmd import squared_mmd
from equirgz.metrics.distance.sinkhorn import sinkhorn_divergence
from equirgz.metrics.distance.two_sample import classifier_two_sample_test

#: distance, and the power of the features' scale with which it grows
DISTANCES = {
    "sinkhorn": (sinkhorn_divergence, 2),
    "mmd": (squared_mmd, 0),
    "frechet": (frechet_distance, 2),
    "classifier": (lambda a, b: classifier_two_sample_test(a, b).auroc.value, 0),
}


@pytest.mark.parametrize("name", DISTANCES)
@pytest.mark.parametrize(("n", "width"), [(30, 2), (60, 16), (30, 64)])
def test_defaults_give_a_number_at_every_scale(name, n, width):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(n, width)), rng.normal(size=(n + 10, width)) + 0.5
    distance, power = DISTANCES[name]
    found = [distance(a * scale, b * scale) / scale**power for scale in (1.0, 1e-8, 1e8)]
    assert found[0] > 0 and np.allclose(found, found[0], rtol=1e-6)


def test_the_table_does_not_depend_on_the_scale():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(20, 4)), rng.normal(size=(22, 4)) + 0.5
    found = [[row["value"] for row in compute_shift(a * s, b * s, n_draws=20)] for s in (1.0, 1e-15, 1e15)]
    assert np.allclose(found, found[0], rtol=1e-6)


def test_copies_and_equal_sets():
    same = np.ones((6, 3))
    assert sinkhorn_divergence(same, same) == pytest.approx(0, abs=1e-12)
    assert sinkhorn_divergence(same, same + 2) == pytest.approx(6, rel=1e-4)  # |2, 2, 2|^2 / 2
    mostly = np.concatenate([np.zeros((9, 2)), np.eye(2)])
    assert np.isfinite(squared_mmd(mostly, mostly[:8])) and np.isfinite(sinkhorn_divergence(mostly, mostly[:8]))
