"""What the evaluation shows of searches, clusters, class shares, turned sources and pruning, on made-up answers."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from benchmarks.evaluation.anomalies import (
    ORDERS,
    RANDOM,
    anomaly_curves,
    anomaly_rows,
    plot_anomalies,
    random_order,
)
from benchmarks.evaluation.clusters import cluster_rows, cluster_sheet, say_clusters
from benchmarks.evaluation.pruning import plot_pruning, pruning_sheet, say_pruning
from benchmarks.evaluation.runs import Answers
from benchmarks.evaluation.shifts import share_rows
from benchmarks.evaluation.sources import rotation_source_rows, rotation_source_summary, say_sources
from benchmarks.evaluation.tables import Evaluation, outside_rows
from equirgz.report.figures.style import figure_style

SIZES = {"train": 60, "val": 40, "test": 60, "test_uncertain": 20, "test_hybrid": 4, "frdeep_first": 90,
         "frdeep_nvss": 40, "radio_galaxy_dataset": 30}  # fmt: skip


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """One network, two runs: two classes far apart in the features, NVSS far from both, logits that are right."""
    answers = []
    for run in (0, 1):
        generator, arrays = np.random.default_rng(run), {}
        for part, n in SIZES.items():
            label_N = np.full(n, -1) if part == "test_hybrid" else np.arange(n) % 2
            centre_NF = np.zeros((n, 6))
            centre_NF[:, 0] = 20 * label_N
            centre_NF[:, 1] = 30 if part == "frdeep_nvss" else 0
            sure_N = 4.0 if part != "test_uncertain" else 0.2
            arrays |= {
                f"label/{part}": label_N, f"id/{part}": np.array([f"{part}{i}" for i in range(n)]),
                f"feature/{part}": centre_NF + generator.normal(size=(n, 6)), f"las/{part}": np.full(n, 30.0),
                f"logits/{part}": np.repeat(
                    np.stack([-sure_N * label_N, sure_N * label_N - sure_N], 1)[None], 3, 0
                ) + 0.1 * generator.normal(size=(3, n, 2)),
            }  # fmt: skip
        right = np.eye(2)[arrays["label/test"]] * 0.8 + 0.1
        arrays["rotation"] = np.repeat(np.repeat(right[None, None], 3, 1), 4, 0)
        arrays["rotation"][1, :, 0] = arrays["rotation"][1, :, 0, ::-1]  # the first source is wrong at one angle of 4
        answers.append(Answers("net", run, Path("."), arrays, []))
    return Evaluation(answers, 5)


def test_a_random_order_is_that_of_all_orders():
    found = [sum(subset) for subset in itertools.combinations([1, 1, 0, 0, 0], 3)]
    assert random_order(5, 2, 3)["value"] == pytest.approx(np.mean(found))
    assert (random_order(5, 2, 3)["low"], random_order(5, 2, 3)["high"]) == (min(found), max(found))


def test_searches_find_what_their_score_can_see(evaluation):
    curves = anomaly_curves(evaluation)
    rows = {(row["wanted"], row["order"], row["metric"]): row for row in anomaly_rows(curves)}
    first = "NVSS among FIRST (30 of 120)"
    assert rows[first, "isolation forest", "anomaly/found_at_40"]["value"] > 20
    assert rows[first, "with ratings", "anomaly/found_at_40"]["value"] > 25
    assert rows[first, RANDOM, "anomaly/found_at_40"]["value"] == pytest.approx(10)
    second = "uncertain and hybrid among confident (24 of 84)"
    entropy = rows[second, "entropy of the answer", "anomaly/found_at_20"]
    assert entropy["value"] == 20 and entropy["n_runs"] == 2
    for order in ORDERS:
        found = [r["found"] for r in curves if r["order"] == order and r["run"] == 0 and r["task"].startswith("NVSS")]
        assert len(found) == 80 and set(np.diff(found)) <= {0, 1}
    with figure_style():
        figure = plot_anomalies(curves)
    assert len(figure.axes) == 2 and figure.axes[0].lines[0].get_ydata()[-1] == pytest.approx(80 * 24 / 84)


def test_clusters_are_the_classes(evaluation):
    rows = cluster_rows(evaluation)
    inside = [row for row in rows if row["cluster"] not in ("none", "all")]
    assert len(inside) == 2 and min(row["purity"] for row in inside) > 0.9
    whole = rows[-1]
    assert whole["n"] == 124 and (whole["n_FRI"], whole["n_FRII"], whole["n_hybrid"]) == (60, 60, 4)
    assert whole["uncertain_share"] == pytest.approx(20 / 124)
    assert "2 clusters" in say_clusters(rows) and len(cluster_sheet(rows).lines) == len(rows)


def test_class_shares_of_right_answers_are_the_true_ones(evaluation):
    for row in (row for row in share_rows(evaluation) if row["data"] != "uncertain"):
        assert row["value"] == pytest.approx(0.5, abs=0.02) and row["n_runs"] == 2


def test_scores_outside_have_intervals_and_false_alarms(evaluation):
    rows = outside_rows(evaluation)
    assert {row["metric"] for row in rows} >= {"ood/auroc_energy", "ood/false_positive_rate_energy"}
    assert all(row["low"] < row["high"] for row in rows if row["metric"].startswith("ood/auroc"))


def test_one_source_is_wrong_at_one_angle(evaluation):
    rows = rotation_source_rows(evaluation)
    assert len(rows) == 120 and rows[0]["error_share"] == 0.25 and rows[1]["error_share"] == 0
    summary = {row["metric"]: row["value"] for row in rotation_source_summary(rows)}
    assert summary["rotation/sometimes_wrong"] == pytest.approx(100 / 60)
    assert summary["rotation/always_wrong"] == 0 and summary["rotation/confidence_std"] == 0
    assert "net 1.7 %" in say_sources(list(rotation_source_summary(rows)))


def test_pruning_is_told_up_to_the_rise_of_the_likelihood():
    nll = {"signal to noise": (0.3, 0.31, 0.5), "Fisher": (0.3, 0.35, 0.3), "random": (0.3, 0.6, 0.7)}
    rows = [
        {"run": 0, "order": order, "share": share, "test set": test, "metric": metric, "value": value}
        for order, values in nll.items()
        for share, value in zip((0.0, 0.5, 0.9), values, strict=True)
        for test in ("confident", "uncertain")
        for metric in ("error/rate", "nll/mean")
    ]
    assert say_pruning(rows).endswith("signal to noise 50 %, Fisher 0 %, random 0 %.")
    assert len(pruning_sheet(rows).lines) == 9
    with figure_style():
        figure = plot_pruning(rows)
    assert list(figure.axes[0].lines[0].get_xdata()) == [0, 50, 90]
