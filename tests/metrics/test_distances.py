"""Frechet, MMD and Sinkhorn against closed forms, brute force, exact transport and geomloss."""

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from equirgz.errors import InputError, NumericalError
from equirgz.metrics.distance.frechet import frechet_distance
from equirgz.metrics.distance.mmd import median_width, squared_mmd
from equirgz.metrics.distance.sinkhorn import sinkhorn_divergence


@pytest.fixture
def sets():
    generator = np.random.default_rng(0)
    return generator.normal(0, 1, (40, 3)), generator.normal(0.5, 1.5, (50, 3))


def test_frechet_equals_the_formula(sets):
    a, b = sets
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    mean = ((a.mean(0) - b.mean(0)) ** 2).sum()
    expected = mean + np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real)
    assert frechet_distance(a, b) == pytest.approx(expected)
    assert frechet_distance(b, a) == pytest.approx(expected)


def test_frechet_in_one_dimension_and_of_equal_sets(sets):
    a, b = np.array([[0.0], [2.0]]), np.array([[10.0], [14.0]])
    assert frechet_distance(a, b) == pytest.approx((1 - 12) ** 2 + (np.sqrt(2) - np.sqrt(8)) ** 2)
    assert frechet_distance(sets[0], sets[0]) == pytest.approx(0, abs=1e-10)


def test_frechet_with_more_features_than_sources_is_exact():
    generator = np.random.default_rng(1)
    a, b = generator.normal(0, 1, (6, 20)), generator.normal(0, 1, (7, 20))
    padded = np.concatenate([a - a.mean(0)] * 20), np.concatenate([b - b.mean(0)] * 20)
    # the same covariances up to a factor, from enough rows to take the other branch
    scale = np.sqrt(119 / 120 * 6 / 5), np.sqrt(139 / 140 * 7 / 6)
    other = frechet_distance(padded[0] * scale[0] + a.mean(0), padded[1] * scale[1] + b.mean(0))
    assert frechet_distance(a, b) == pytest.approx(other)


def test_mmd_equals_brute_force_and_is_unbiased(sets):
    a, b = sets

    def k(x, y):
        return np.exp(-((x - y) ** 2).sum() / (2 * 1.3**2))

    same = [np.mean([k(x, y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j]) for s in (a, b)]
    across = np.mean([k(x, y) for x in a for y in b])
    assert squared_mmd(a, b, 1.3) == pytest.approx(sum(same) - 2 * across)
    generator = np.random.default_rng(2)
    null = [squared_mmd(*generator.normal(0, 1, (2, 20, 2)), 1.0) for _ in range(300)]
    assert abs(np.mean(null)) < 3 * np.std(null) / np.sqrt(300) and min(null) < 0


def test_median_width():
    assert median_width([[0.0], [1.0]], [[3.0], [3.0]]) == np.median([1, 3, 3, 2, 2, 0])


def test_sinkhorn_tends_to_exact_transport():
    generator = np.random.default_rng(3)
    a, b = generator.normal(0, 1, (25, 2)), generator.normal(1, 1, (25, 2))
    cost = cdist(a, b, "sqeuclidean") / 2
    rows, columns = linear_sum_assignment(cost)
    assert sinkhorn_divergence(a, b, 0.03, max_steps=20_000) == pytest.approx(cost[rows, columns].mean(), rel=0.02)


def test_sinkhorn_of_a_shifted_set_and_of_itself(sets):
    a = sets[0]
    assert sinkhorn_divergence(a, a) == pytest.approx(0, abs=1e-5)
    for blur in (0.3, 3.0):
        assert sinkhorn_divergence(a, a + [2, 0, 0], blur) == pytest.approx(2.0, rel=1e-3), "half the squared shift"


def test_sinkhorn_equals_geomloss(sets):
    geomloss = pytest.importorskip("geomloss")
    torch = pytest.importorskip("torch")
    a, b = sets
    loss = geomloss.SamplesLoss("sinkhorn", p=2, blur=0.5, scaling=0.99, backend="tensorized")
    expected = float(loss(torch.as_tensor(a), torch.as_tensor(b)))
    assert sinkhorn_divergence(a, b, 0.5) == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("distance", [frechet_distance, squared_mmd, sinkhorn_divergence])
def test_refusals(distance):
    for a, b in (
        ([[1.0]], [[1.0], [2.0]]),
        ([[1.0], [2.0]], [[1.0, 2.0], [3.0, 4.0]]),
        ([[np.nan], [1.0]], [[1.0], [2.0]]),
        ([1.0, 2.0], [1.0, 2.0]),
    ):
        with pytest.raises(InputError):
            distance(a, b)


def test_bad_settings(sets):
    with pytest.raises(InputError, match="width"):
        squared_mmd(*sets, 0)
    with pytest.raises(InputError, match="blur"):
        sinkhorn_divergence(*sets, 0)
    with pytest.raises(InputError, match="differ"):
        median_width([[1.0], [1.0]], [[1.0], [1.0]])
    with pytest.raises(NumericalError, match="larger blur"):
        sinkhorn_divergence(*sets, 0.001, max_steps=5)
