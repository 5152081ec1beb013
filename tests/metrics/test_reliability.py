"""Reliability tables."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from equirgz.errors import InputError
from equirgz.metrics.calibration.ece import expected_calibration_error
from equirgz.metrics.calibration.reliability_bins import reliability_table
from equirgz.metrics.interval import wilson_interval


@pytest.fixture
def predictions():
    generator = np.random.default_rng(0)
    return generator.dirichlet([1, 1], 200), generator.integers(0, 2, 200)


def test_equals_scikit_learn_for_one_class(predictions):
    lines = reliability_table(*predictions, 10, class_index=1)
    share, mean = calibration_curve(predictions[1], predictions[0][:, 1], n_bins=10)
    assert [line["observed"] for line in lines] == pytest.approx(share.tolist())
    assert [line["stated"] for line in lines] == pytest.approx(mean.tolist())
    assert sum(line["n"] for line in lines) == 200


@pytest.mark.parametrize("scheme", ["width", "mass"])
def test_its_gaps_are_the_ece(predictions, scheme):
    lines = reliability_table(*predictions, 15, scheme)
    total = sum(line["share"] * abs(line["observed"] - line["stated"]) for line in lines)
    assert total == pytest.approx(expected_calibration_error(*predictions, 15, scheme))


def test_intervals_count_different_sources(predictions):
    p_NK, target_N = predictions
    twice = reliability_table(np.tile(p_NK, (3, 1)), np.tile(target_N, 3), source_id_N=np.tile(np.arange(200), 3))
    for one, three in zip(reliability_table(p_NK, target_N), twice, strict=True):
        assert three["n"] == 3 * one["n"] and three["n_sources"] == one["n"]
        assert (three["low"], three["high"]) == pytest.approx((one["low"], one["high"]))
        assert (one["low"], one["high"]) == pytest.approx(wilson_interval(one["observed"] * one["n"], one["n"]))


def test_one_source_and_certainties():
    assert [line["bin"] for line in reliability_table([[0.0, 1.0], [1.0, 0.0]], [1, 1], class_index=1)] == [
        0,
        9,
    ]
    (line,) = reliability_table([[0.7, 0.3]], [1])
    assert (line["observed"], line["n"]) == (0.0, 1) and line["high"] > 0.5


def test_refusals(predictions):
    with pytest.raises(InputError, match="class_index"):
        reliability_table(*predictions, class_index=2)
    with pytest.raises(InputError, match="source_id_N"):
        reliability_table(*predictions, source_id_N=[1])
