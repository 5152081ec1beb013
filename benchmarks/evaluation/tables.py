"""Rows and tables of the evaluation, from the networks' answers. Legend: R runs, S samples, N sources, K classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evaluation.runs import Answers
from equirgz.data.sky.physical_size import physical_size_kpc
from equirgz.evaluate.feature_space import correlate_with_size
from equirgz.evaluate.probe import knn, linear_probe
from equirgz.evaluate.similarity import retrieval_rows, search
from equirgz.evaluate.turned_samples import overlap_rows
from equirgz.metrics.base import compute_metrics
from equirgz.metrics.calibration.temperature_scaling import apply_temperature, fit_temperature
from equirgz.metrics.check import UndefinedMetricError
from equirgz.metrics.compare.over_runs import compute_run_metrics
from equirgz.metrics.interval import student_interval
from equirgz.metrics.uncertainty.conformal import fit_conformal, measure_sets, predict_sets
from equirgz.metrics.uncertainty.out_of_distribution import energy_score
from equirgz.metrics.uncertainty.predictive_samples import entropy, mutual_information
from equirgz.metrics.uncertainty.uncertainty_rows import (
    compute_ood_metrics,
    compute_selective_metrics,
    compute_uncertainty_metrics,
)

TESTS = {"confident": "test", "uncertain": "test_uncertain"}
OUTSIDE = {"uncertain": "test_uncertain", "hybrid": "test_hybrid", "NVSS": "frdeep_nvss"}
Rows = list[dict[str, Any]]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities (float64) over the last axis."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def mean_log_probability(answer: Answers, part: str) -> np.ndarray:
    """Return the logarithm of the mean probability over predictive samples, (N, K): the logits that are calibrated."""
    return np.log(np.maximum(softmax(answer.arrays[f"logits/{part}"]).mean(0), 1e-300))


def find_temperature(answer: Answers) -> float:
    """Return the temperature of the validation sources, 1 where they do not fix it."""
    try:
        return fit_temperature(mean_log_probability(answer, "val"), answer.arrays["label/val"]).value
    except UndefinedMetricError:
        return 1.0


class Evaluation:
    """All answers, by network; the tables ask it for stacked probabilities."""

    def __init__(self, answers: list[Answers], n_draws: int = 300) -> None:
        self.by_network: dict[str, list[Answers]] = {}
        for answer in answers:
            self.by_network.setdefault(answer.network, []).append(answer)
        self.n_draws = n_draws
        self.temperature = {(a.network, a.run): find_temperature(a) for a in answers}

    @property
    def names(self) -> list[str]:
        return list(self.by_network)

    def __iter__(self) -> Iterator[tuple[str, list[Answers]]]:
        return iter(self.by_network.items())

    def label(self, part: str) -> np.ndarray:
        return self.by_network[self.names[0]][0].arrays[f"label/{part}"]

    def probability(self, name: str, part: str, *, scaled: bool = False) -> np.ndarray:
        """Return probability_RNK of a network; ``scaled``: after the temperature of its validation sources."""
        answers = self.by_network[name]
        used = [self.temperature[a.network, a.run] if scaled else 1.0 for a in answers]
        return np.stack([
            apply_temperature(mean_log_probability(a, part), t) for a, t in zip(answers, used, strict=True)
        ])  # fmt: skip

    def answers_of(self, *, scaled: bool = False) -> dict[str, tuple[dict[str, np.ndarray], np.ndarray]]:
        """Return test set -> (network -> probability_RNK, labels), for figures and comparisons."""
        return {
            test: ({name: self.probability(name, part, scaled=scaled) for name in self.names}, self.label(part))
            for test, part in TESTS.items()
        }


def over_runs(rows_of_run: list[Rows], *, as_range: bool = False, **names: Any) -> Rows:
    """Return one row per metric: mean over the runs with its 95 % Student t interval (none where all agree).

    With ``as_range``, low and high are the lowest and the highest run: for numbers in a range that the t leaves.
    """
    found = []
    for rows in zip(*rows_of_run, strict=True):
        interval = student_interval([row["value"] for row in rows])
        told = interval.half_width > 1e-12  # neither one run nor runs that all agree
        bounds = sorted(row["value"] for row in rows) if as_range else [interval.low, interval.high]
        low, high = (bounds[0], bounds[-1]) if told else (None, None)
        found.append({**names, **rows[0], "value": interval.mean, "low": low, "high": high, "n_runs": len(rows)})
    return found


def calibration_rows(evaluation: Evaluation) -> Rows:
    """Return every metric per test set, network and scaling, with intervals over the sources."""
    rows = []
    for test, part in TESTS.items():
        for name, answers in evaluation:
            for scaling in ("as trained", "temperature"):
                names = {"test set": test, "network": name, "scaling": scaling}
                p_RNK = evaluation.probability(name, part, scaled=scaling == "temperature")
                found = compute_run_metrics(p_RNK, evaluation.label(part), n_draws=evaluation.n_draws)
                rows += [{**names, **row} for row in found]
                if scaling == "temperature":
                    values = [evaluation.temperature[a.network, a.run] for a in answers]
                    common = {"metric": "temperature/value", "unit": "1", "direction": "none"}
                    rows += over_runs([[{**common, "value": v, "n": len(a.arrays["label/val"])}]
                                       for v, a in zip(values, answers, strict=True)], **names)  # fmt: skip
    return rows


def uncertainty_rows(evaluation: Evaluation) -> Rows:
    """Return the uncertainty of the predictive samples and of selective prediction, over runs."""
    rows = []
    for test, part in TESTS.items():
        for name, answers in evaluation:
            of_runs = []
            for a in answers:
                p_SNK, y_N = softmax(a.arrays[f"logits/{part}"]), a.arrays[f"label/{part}"]
                selective = compute_selective_metrics(p_SNK.mean(0), y_N)
                of_runs.append([*compute_uncertainty_metrics(p_SNK, y_N), *selective])
            rows += over_runs(of_runs, **{"test set": test, "network": name})
    return rows


def outside_rows(evaluation: Evaluation) -> Rows:
    """Return the AUROC with which scores tell other sources from the confident test sources, and false positives.

    Scores are means over the runs; the intervals (`metrics.uncertainty.out_of_distribution.auroc`) are over sources.
    """
    scores: dict[str, Callable[[Answers, str], np.ndarray]] = {
        "energy": lambda a, part: np.mean([energy_score(x) for x in a.arrays[f"logits/{part}"]], axis=0),
        "entropy": lambda a, part: entropy(softmax(a.arrays[f"logits/{part}"]).mean(0)),
        "mutual_information": lambda a, part: mutual_information(softmax(a.arrays[f"logits/{part}"])),
        "distance": _neighbour_distance,
    }
    rows = []
    for outside, part in OUTSIDE.items():
        for name, answers in evaluation:
            for score, function in scores.items():
                inside_N, outside_M = (np.mean([function(a, p) for a in answers], axis=0) for p in ("test", part))
                rows += [
                    {"network": name, **row, "metric": f"{row['metric']}_{score}", "n_runs": len(answers)}
                    for row in compute_ood_metrics(inside_N, {f"{outside} (n = {len(outside_M)})": outside_M})
                ]
    return rows


def _neighbour_distance(answer: Answers, part: str, k: int = 5) -> np.ndarray:
    """Return one minus the cosine similarity to the k-th nearest training source."""
    _, similarity_Nk = search(answer.arrays[f"feature/{part}"], answer.arrays["feature/train"], k)
    return 1.0 - similarity_Nk[:, -1]


def conformal_rows(evaluation: Evaluation, coverage: float = 0.9) -> Rows:
    """Return the coverage and size of conformal sets fitted on validation sources; Wilson intervals, run means."""
    rows = []
    for test, part in TESTS.items():
        for name, answers in evaluation:
            found = []
            for a in answers:
                p_val_NK, p_NK = (np.exp(mean_log_probability(a, p)) for p in ("val", part))
                rule = fit_conformal(p_val_NK, a.arrays["label/val"], coverage)
                found.append(measure_sets(predict_sets(rule, p_NK), a.arrays[f"label/{part}"]))
            mean = {key: float(np.mean([getattr(f, key) for f in found])) for key in vars(found[0])}
            for key in ("coverage", "mean_size", "single", "empty"):
                bounds = {k: mean[k] if key == "coverage" else None for k in ("low", "high")}
                rows.append({
                    "test set": test, "network": name, "metric": f"conformal/{key}", "value": mean[key], **bounds,
                    "unit": "1", "direction": "none", "n": found[0].n, "n_runs": len(found),
                })  # fmt: skip
    return rows


def rotation_rows_of(evaluation: Evaluation) -> Rows:
    """Return the rows of the rotation figure: network, run, metric, angle_deg, value."""
    return [
        {"network": name, "run": a.run, **row}
        for name, answers in evaluation
        for a in answers
        for row in overlap_rows(a.arrays["rotation"], a.arrays["label/test"], a.arrays["angles_deg"].tolist())
    ]


def rotation_summary(rows: Rows) -> Rows:
    """Return, over runs, the mean over angles and the range over angles of each number of the rotation rows."""
    units = {"rotation/error": "%", "rotation/flip_rate": "%", "rotation/entropy": "nat"}
    found = []
    for name in dict.fromkeys(row["network"] for row in rows):
        mine = [row for row in rows if row["network"] == name]
        of_runs = []
        for run in sorted({row["run"] for row in mine}):
            values: dict[str, list[float]] = {}
            for row in mine:
                if row["run"] == run:
                    values.setdefault(row["metric"], []).append(row["value"])
            common = {"direction": "none", "n": mine[0]["n"]}
            of_run = []
            for metric, value_A in values.items():
                unit = units.get(metric, "1")
                of_run.append({"metric": f"{metric}_mean", "value": float(np.mean(value_A)), "unit": unit, **common})
                if len(value_A) > 1:
                    spread = float(np.ptp(value_A))
                    of_run.append({"metric": f"{metric}_range", "value": spread, "unit": unit, **common})
            of_runs.append(of_run)
        found += over_runs(of_runs, network=name)
    return found


def representation_rows(evaluation: Evaluation, ks: tuple[int, ...] = (1, 5, 10)) -> Rows:
    """Return, over runs, probes, retrieval of test sources among training sources, and the size in the features."""
    rows = []
    for name, answers in evaluation:
        of_runs = []
        for a in answers:
            h_train, y_train = a.arrays["feature/train"], a.arrays["label/train"]
            h_test, y_test = a.arrays["feature/test"], a.arrays["label/test"]
            of_run = retrieval_rows(h_test, y_test, ks, gallery_MF=h_train, gallery_label_M=y_train)
            for probe, function in (("linear_probe", linear_probe), ("knn", knn)):
                row = compute_metrics(function(h_train, y_train, h_test, n_classes=2), y_test, ["error/rate"])[0]
                of_run.append({**row, "metric": f"{probe}/error"})
            held = ("test", "test_uncertain", "test_hybrid")
            features = np.concatenate([a.arrays[f"feature/{part}"] for part in held])
            angle, redshift = (np.concatenate([a.arrays[f"{kind}/{part}"] for part in held])
                               for kind in ("las", "redshift"))  # fmt: skip
            sizes = {"size": angle, "physical_size": physical_size_kpc(angle, redshift)}
            for size, size_N in sizes.items():
                of_run += correlate_with_size(features, size_N, name=size, n_bootstrap=100)
            of_runs.append(of_run)
        rows += over_runs(of_runs, network=name)
    return rows


def equivariance_rows(evaluation: Evaluation) -> Rows:
    """Return, over runs, the relative error of features, blocks and attention maps at each angle."""
    common = {"metric": "equivariance/relative_l2", "unit": "1", "direction": "lower"}
    return [
        row
        for name, answers in evaluation
        for row in over_runs([[{**common, **row} for row in a.equivariance] for a in answers], network=name)
    ]


def write_all(path: Path, rows: Rows) -> None:
    """Write ``rows`` as csv with every column (see `equirgz.report.tables.pivot.write_sheet` for tables)."""
    import pandas as pd

    pd.DataFrame(rows).to_csv(path, index=False, float_format="%.8g", lineterminator="\n")
