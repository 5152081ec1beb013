"""Error rates and the log-likelihood against hand-computed cases and scikit-learn."""

import math

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss

from equirgz.metrics import compute_metrics, format_value
from equirgz.metrics.check import UndefinedMetricError
from equirgz.metrics.error import balanced_error_rate, error_rate, mean_nll


def test_hand_computed():
    p_NK = [[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]]
    target_N = [0, 1, 1, 1]
    assert error_rate(p_NK, target_N) == 25.0
    assert balanced_error_rate(p_NK, target_N) == pytest.approx(100 * (0 + 1 / 3) / 2)
    assert mean_nll(p_NK, target_N) == pytest.approx(-math.log(0.9 * 0.4 * 0.8 * 0.7) / 4)


def test_agrees_with_scikit_learn():
    generator = np.random.default_rng(1)
    p_NK = generator.dirichlet([1, 2, 1], 200)
    target_N = generator.integers(0, 3, 200)
    predicted_N = p_NK.argmax(axis=1)
    assert error_rate(p_NK, target_N) == pytest.approx(100 * (1 - accuracy_score(target_N, predicted_N)))
    assert balanced_error_rate(p_NK, target_N) == pytest.approx(
        100 * (1 - balanced_accuracy_score(target_N, predicted_N))
    )
    assert mean_nll(p_NK, target_N) == pytest.approx(log_loss(target_N, p_NK, labels=[0, 1, 2]))


def test_edges():
    assert error_rate([[1.0, 0.0]], [0]) == 0.0
    assert mean_nll([[1.0, 0.0]], [0]) == 0.0
    assert mean_nll([[1.0, 0.0], [1.0, 0.0]], [0, 1]) == math.inf


@pytest.mark.parametrize("p_NK, target_N", [([[0.9, 0.1]], [0]), ([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]], [0, 1])])
def test_the_balanced_error_needs_every_class(p_NK, target_N):
    with pytest.raises(UndefinedMetricError, match=f"none of class {len(target_N)}"):
        balanced_error_rate(p_NK, target_N)


@pytest.mark.parametrize("n", [1, 3])
def test_what_is_defined_for_few_sources_of_one_class_and_what_is_not(n):
    """With n sources of class 0 at 0.7: each number by hand, or none."""
    found = {row["metric"]: row["value"] for row in compute_metrics([[0.7, 0.3]] * n, [0] * n)}
    defined = {"error/rate": 0, "nll/mean": -math.log(0.7), "calibration/brier": 0.18, "calibration/ece": 0.3,
               "calibration/mce": 0.3, "calibration/ece_debiased": 0.3, "calibration/ece_smooth": 0.3}  # fmt: skip
    assert {name: found.pop(name) for name in defined} == pytest.approx(defined)
    assert found.pop("calibration/ece_perfect") > 0 and found.pop("calibration/ece_smooth_perfect") > 0
    assert found == dict.fromkeys(("error/balanced", "calibration/ece_classwise", "calibration/ece_adaptive"))


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [(40.0, "%", "40 %"), (0.47194, "1", "0.472"), (1.5, "nat", "1.5 nat"), (None, "1", "not defined")],
)
def test_a_number_is_shown_with_its_unit_where_it_has_one(value, unit, shown):
    assert format_value({"value": value, "unit": unit}) == shown
