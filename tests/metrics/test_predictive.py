"""Rows of uncertainty, selective prediction and out-of-distribution scores."""

import math

import numpy as np
import pytest

from equirgz.errors import InputError
from equirgz.metrics.uncertainty.uncertainty_rows import (
    compute_ood_metrics,
    compute_selective_metrics,
    compute_uncertainty_metrics,
)


def samples(k=2, s=30, n=40):
    generator = np.random.default_rng(0)
    return generator.dirichlet(np.ones(k), (s, n)), generator.integers(0, k, n)


def test_uncertainty_rows_for_two_and_more_classes():
    rows = {row["metric"]: row for row in compute_uncertainty_metrics(*samples())}
    assert "uncertainty/uce_published" in rows and len(rows) == 9
    assert (
        0
        < rows["uncertainty/mutual_information"]["value"]
        < rows["uncertainty/predictive_entropy"]["value"]
        <= math.log(2)
    )
    assert all(math.isfinite(row["value"]) and row["n"] == 40 for row in rows.values())
    assert len(compute_uncertainty_metrics(*samples(3))) == 8


def test_a_sure_and_right_model_has_nothing_to_declare():
    target_N = np.array([0, 1] * 8)
    p_SNK = np.tile(np.eye(2)[target_N], (5, 1, 1))
    for row in compute_uncertainty_metrics(p_SNK, target_N):
        assert row["value"] == pytest.approx(0, abs=1e-5), row["metric"]
    wrong = {row["metric"]: row["value"] for row in compute_uncertainty_metrics(p_SNK, 1 - target_N)}
    assert wrong["uncertainty/uce_entropy"] == pytest.approx(200), "sure and always wrong: twice the worst error"


def test_few_sources_of_one_class_have_no_uncertainty_calibration_and_all_else():
    p_SNK, _ = samples(n=3)
    rows = {row["metric"]: row["value"] for row in compute_uncertainty_metrics(p_SNK, [0, 0, 0])}
    assert all((value is None) == ("uce" in name) for name, value in rows.items()) and len(rows) == 9
    rows = {row["metric"]: row["value"] for row in compute_uncertainty_metrics(samples()[0], [1] * 40)}
    assert [name for name, value in rows.items() if value is None] == [
        "uncertainty/uce_entropy_classwise", "uncertainty/uce_mutual_information_classwise"]  # fmt: skip


def test_selective_rows_by_hand():
    p_N = np.array([0.99, 0.9, 0.8, 0.7, 0.6])
    rows = compute_selective_metrics(np.stack([p_N, 1 - p_N], 1), [0, 0, 0, 0, 1])
    values = {row["metric"]: row["value"] for row in rows}
    assert values == {
        "selective/aurc": pytest.approx(0.2 / 5),
        "selective/excess_aurc": 0,
        "selective/error_at_80": 0,
    }


def test_ood_rows():
    generator = np.random.default_rng(1)
    inside = generator.normal(0, 1, 50)
    rows = compute_ood_metrics(inside, {"hybrid": inside[:20] + 3, "same": generator.normal(0, 1, 30)})
    found = {(row["metric"], row["outside"]): row for row in rows}
    assert found["ood/auroc", "hybrid"]["value"] > 0.9 and found["ood/auroc", "hybrid"]["n_outside"] == 20
    same = found["ood/auroc", "same"]
    assert same["low"] < 0.5 < same["high"]
    with pytest.raises(InputError, match="at least one set"):
        compute_ood_metrics(inside, {})
