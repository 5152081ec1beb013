"""A made-up results folder with everything a real one has, small enough to make in each test."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd

from equirgz.metrics import compute_metrics
from equirgz.records import ROW_COLUMNS
from equirgz.report.rows.results import open_results
from equirgz.report.tables.all_tables import find_table
from equirgz.report.tables.formats import make_lines
from equirgz.report.tables.sheet import lines_to_csv

N_DRAWS = 20  # bootstrap draws of the interval tables in tests, few for speed
ANGLES = np.arange(24) * 15.0
GROUPS = ("C1", "C4", "D4", "D8")
SKILL = {"C1": 0.0, "C4": 0.5, "D4": 0.9, "D8": 1.0}
SMALL = {
    "groups": ("C1", "D4"),
    "labels": (50,),
    "augmentations": ("none",),
    "missing": (),
    "failed": (),
    "n_sources": 20,
}


def make_results(
    folder: Path,
    *,
    groups=GROUPS,
    labels=(50, 729),
    augmentations=("none", "rotation_flips"),
    seeds=(0, 1, 2),
    extra: dict[str, tuple] | None = None,
    missing=(("D8", 50, "none"),),
    failed=(("C4", 729, "none"),),
    n_sources=104,
    data=("mirabest_confident",),
    report: dict | None = None,
) -> Path:
    """Write grid.json, rows.csv, predictions.csv.gz, timings.csv, samples.npz and cells/*.failed.json."""
    folder.mkdir(parents=True, exist_ok=True)
    axes = [
        (d, g, n, a, x, s)
        for d in data
        for x in _products(extra or {})
        for g in groups
        for n in labels
        for a in augmentations
        for s in seeds
    ]
    rows, predictions, timings, runs = [], [], [], []
    for d, group, n_labels, augmentation, more, seed in axes:
        fields = {
            "data": d,
            "backbone": "steerable_lenet",
            "group": group,
            "objective": "supervised",
            "augmentation": augmentation,
            "n_labels": n_labels,
            **more,
        }
        cell_key = hashlib.sha256(repr(sorted(fields.items())).encode()).hexdigest()[:16]
        run_key = hashlib.sha256(f"{cell_key}{seed}".encode()).hexdigest()[:16]
        runs.append(
            {
                "run_key": run_key,
                "cell_key": cell_key,
                "labels": {
                    **{k: v for k, v in fields.items() if k not in ("backbone", "objective")},
                    "replicate": seed,
                },
            }
        )
        if (group, n_labels, augmentation) in missing:
            continue
        if (group, n_labels, augmentation) in failed:
            (folder / "cells").mkdir(exist_ok=True)
            (folder / "cells" / f"{run_key}.failed.json").write_text("{}")
            continue
        common = {
            "grid": "fake",
            "run_key": run_key,
            "cell_key": cell_key,
            **fields,
            "split_seed": seed,
            "seed": seed,
            "selection_rule": "last_step",
            "version": "0.1",
            "data_checksum": f"abc{d[-2:]}",
        }
        made = _measure(common, group, n_labels, augmentation, seed, n_sources, predictions)
        rows += made
        timings.append(
            {
                "run_key": run_key,
                "metric": "train/seconds",
                "value": 20 + seed,
                "unit": "s",
                "device": "cpu",
                "version": "0.1",
            }
        )
    columns = [*ROW_COLUMNS, *(extra or {})]
    (folder / "rows.csv").write_text(_csv(columns, rows))
    keys = [k for k in predictions[0] if k not in ("p0", "p1")]
    (folder / "predictions.csv.gz").write_bytes(gzip.compress(_csv([*keys, "p0", "p1"], predictions).encode(), mtime=0))
    (folder / "timings.csv").write_text(_csv(list(timings[0]), timings))
    (folder / "grid.json").write_text(
        json.dumps(
            {
                "format": 1,
                "name": "fake",
                "question": "Does it work?",
                "version": "0.1",
                "columns": list(runs[0]["labels"]),
                "document": {"report": report or {}},
                "runs": runs,
                "configs": {run["cell_key"]: {"train": {"steps": 500}} for run in runs},
            }
        )
    )
    _write_samples(folder)
    return folder


def _products(extra):
    points = [{}]
    for name, values in extra.items():
        points = [{**point, name: value} for point in points for value in values]
    return points


def _measure(common, group, n_labels, augmentation, seed, n_sources, predictions):
    """Rows of one run: classification metrics, rotation curves, equivariance errors, costs."""
    truth = np.random.default_rng(0)
    target_N, ease_N = truth.integers(0, 2, n_sources), truth.normal(1.6, 1.2, n_sources)
    generator = np.random.default_rng([seed, n_labels, len(augmentation), ord(group[0]) + int(group[1:])])
    skill = 0.35 * np.log10(n_labels) + 0.5 * SKILL.get(group, 0.5) + 0.3 * (augmentation != "none")
    logit_N = (2 * target_N - 1) * (ease_N * skill + generator.normal(0, 0.7, n_sources)) * 1.7
    probability_NK = np.stack([1 / (1 + np.exp(logit_N)), 1 / (1 + np.exp(-logit_N))], axis=1)
    base = {**common, "readout": "network", "split": "test", "angle_deg": ""}
    rows = [{**base, **row} for row in compute_metrics(probability_NK, target_N)]
    order = int(group[1:]) * (2 if group[0] == "D" else 1)
    for angle in ANGLES:
        wobble = 0.06 / order * abs(np.sin(np.deg2rad(angle * max(1, int(group[1:])) / 2)))
        error = 100 * np.mean(probability_NK.argmax(1) != target_N) * (1 + 8 * wobble)
        confidence = probability_NK.max(1).mean() * (1 - wobble)
        for metric, value, unit, better in (
            ("rotation/error", error, "%", "lower"),
            ("rotation/confidence", confidence, "1", "none"),
        ):
            rows.append(
                {
                    **base,
                    "metric": metric,
                    "angle_deg": angle,
                    "value": value,
                    "unit": unit,
                    "direction": better,
                    "n": n_sources,
                }
            )
    for angle in (15.0, 30.0, 45.0, 90.0):
        exact = group != "C1" and angle % (360 / int(group[1:])) == 0 and angle % 90 == 0
        value = (3e-7 if exact else 0.4 / order) * generator.uniform(0.8, 1.2)
        rows.append(
            {
                **base,
                "metric": "equivariance/relative_l2",
                "angle_deg": angle,
                "value": value,
                "unit": "1",
                "direction": "lower",
                "n": 32,
            }
        )
    for metric, value, unit in (
        ("cost/parameters", 25_000 + order * 100, "1"),
        ("cost/multiply_adds", 3.4e6 * order, "1"),
        ("cost/activation_bytes", 4e5 * order, "byte"),
    ):
        rows.append(
            {
                **common,
                "readout": "",
                "split": "",
                "angle_deg": "",
                "metric": metric,
                "value": value,
                "unit": unit,
                "direction": "lower",
                "n": 1,
            }
        )
    for i in range(n_sources):
        predictions.append(
            {
                "run_key": common["run_key"],
                "seed": seed,
                "readout": "network",
                "split": "test",
                "source_id": f"s{i:03d}",
                "target": target_N[i],
                "p0": f"{probability_NK[i, 0]:.7g}",
                "p1": f"{probability_NK[i, 1]:.7g}",
            }
        )
    return rows


def _csv(columns, rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows([{k: "" if v is None else v for k, v in row.items()} for row in rows])
    return text.getvalue()


def _write_samples(folder):
    """Two-lobed and one-peaked blobs, six of each class."""
    y, x = np.mgrid[-1:1:65j, -1:1:65j]
    generator = np.random.default_rng(0)
    images, labels = [], []
    for k in (0, 1):
        for _ in range(6):
            turn, gap = generator.uniform(0, np.pi), (0.15 if k == 0 else 0.5)
            image = sum(
                np.exp(-((x - s * gap * np.cos(turn)) ** 2 + (y - s * gap * np.sin(turn)) ** 2) / 0.02) for s in (-1, 1)
            )
            images.append((image + generator.normal(0, 0.02, x.shape)) * (np.hypot(x, y) < 1))
            labels.append(k)
    np.savez(
        folder / "samples.npz",
        image_NHW=np.float32(images),
        label_N=np.array(labels),
        class_names=np.array(["FRI", "FRII"]),
    )


def cells_of(folder, **chosen):
    table = find_table(open_results(folder), **chosen)
    return {
        (r["group"], r["n_labels"], r["augmentation"]): r
        for r in csv.DictReader(io.StringIO(lines_to_csv(make_lines(table))))
    }


def set_values(folder, values):
    """Overwrite the error rates by {(group, seed): value}, None leaves a row out; predictions go: they tell others."""
    (folder / "predictions.csv.gz").unlink(missing_ok=True)
    rows = pd.read_csv(folder / "rows.csv", dtype=str, keep_default_na=False)
    rows = rows[rows["metric"] == "error/rate"].copy()
    rows["value"] = [values[g, int(s)] for g, s in zip(rows["group"], rows["seed"], strict=True)]
    rows[rows["value"].notna()].to_csv(folder / "rows.csv", index=False)
