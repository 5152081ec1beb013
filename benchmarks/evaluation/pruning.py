"""Error and likelihood of a variational network as its weights go to zero. Legend: N sources, K classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from benchmarks.evaluation.runs import load_objective
from benchmarks.evaluation.tables import TESTS, Rows
from equirgz.evaluate import predict
from equirgz.grid.plan.grid import Grid
from equirgz.grid.run.prepare import prepare_run
from equirgz.metrics.base import compute_metrics
from equirgz.objectives.bayesian.posterior import WeightPosterior
from equirgz.objectives.bayesian.pruning import compute_fisher, compute_pruning_curve, compute_signal_to_noise
from equirgz.provenance import collect_provenance
from equirgz.records import read_json, write_json_atomic
from equirgz.report.figures.networks import network_looks
from equirgz.report.figures.style import add_legend, make_panels
from equirgz.report.tables.pivot import show_number
from equirgz.report.tables.sheet import Sheet
from equirgz.seeding import derive_seed

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
METRICS = {"error/rate": "error (%)", "nll/mean": "NLL (nat)"}
LOWEST = {"signal to noise": "lowest |mean| / std", "Fisher": "lowest Fisher information", "random": "random"}


def measure_pruning(grid: Grid, data_dir: Path | None, work: Path, say: Any = print) -> Rows:
    """Return the rows of every run of ``grid``: run, order, share, test set, metric, value; trained where missing.

    WORK/<run key>/pruning.json keeps them. Answers are means over the objective's predictive samples; the Fisher
    information is that of the labelled training sources.
    """
    rows = []
    for point in grid.points:
        folder = work / point.run_key
        if not (folder / "pruning.json").exists():
            provenance = collect_provenance()
            say(f"pruning, run {point.labels['replicate']}: {folder}")
            run = prepare_run(point.config, data_dir)
            objective = load_objective(run, folder, data_dir)
            images = {test: run.eval_sets[part] for test, part in TESTS.items()}
            seed = derive_seed(point.config.seed, "prune")
            found = _curves(objective, run.labelled, images, seed)
            write_json_atomic(folder / "provenance.json", provenance)
            write_json_atomic(folder / "pruning.json", found)
        rows += [{"run": int(point.labels["replicate"]), **row} for row in read_json(folder / "pruning.json")]
    return rows


def _curves(objective: WeightPosterior, labelled: Any, images: dict[str, Any], seed: int) -> Rows:
    generator = torch.Generator().manual_seed(seed)
    noise = compute_signal_to_noise(objective)
    scores = {
        "signal to noise": noise,
        "Fisher": compute_fisher(objective, torch.as_tensor(labelled.x_NCHW), torch.as_tensor(labelled.label_N)),
        "random": {name: torch.rand(score.shape, generator=generator) for name, score in noise.items()},
    }

    def measure(pruned: WeightPosterior) -> dict[str, Any]:
        numbers = {}
        for test, of_test in images.items():
            p_NK = predict(pruned, of_test.x_NCHW, 64, n_samples=pruned.n_predictive_samples, seed=seed)
            for row in compute_metrics(p_NK, of_test.label_N, list(METRICS)):
                numbers[test, row["metric"]] = row
        return numbers

    return [
        {"order": order, "share": line["share"], "test set": test, **row}
        for order, score in scores.items()
        for line in compute_pruning_curve(objective, score, SHARES, measure)
        for (test, _), row in ((place, row) for place, row in line.items() if place != "share")
    ]


def pruning_sheet(rows: Rows) -> Sheet:
    """Return a line per order and share, a column per test set and metric; means over the runs."""
    n_runs = len({row["run"] for row in rows})
    columns = [(test, metric) for test in TESTS for metric in METRICS]
    values: dict[tuple[str, float], dict[tuple[str, str], list[float]]] = {}
    for row in rows:
        cell = values.setdefault((row["order"], row["share"]), {})
        cell.setdefault((row["test set"], row["metric"]), []).append(row["value"])
    lines = [
        [order, f"{100 * share:.0f}", *(show_number(float(np.mean(cell[c])), 1 if c[1] == "error/rate" else 3)
                                       for c in columns)]
        for (order, share), cell in values.items()
    ]  # fmt: skip
    caption = ["Pruning a variational network", f"Error and negative log-likelihood when the share of all weights with "
               f"the lowest score is set to zero, noise included; {n_runs} run{'s' if n_runs > 1 else ''} of "
               "benchmarks/pruning.yaml, means over predictive samples", "Signal to noise: |mean| / std of the "
               "posterior; Fisher: mean squared gradient over training sources; random: in any order"]  # fmt: skip
    header = ["order", "pruned (%)", *(f"{test}: {METRICS[metric]}" for test, metric in columns)]
    return Sheet(caption[0], 2, header, [""] * len(header), lines, caption, label="pruning")


def plot_pruning(rows: Rows) -> Figure:
    """Return error and NLL against the share that is pruned, a line of panels per number, a panel per test set."""
    looks = network_looks(list(LOWEST))
    figure, panels = make_panels(len(METRICS), len(TESTS), sharex=True, sharey="row", panel_height_in=1.6)
    for line, (metric, words) in zip(panels, METRICS.items(), strict=True):
        for panel, test in zip(line, TESTS, strict=True):
            for order, look in looks.items():
                at: dict[float, list[float]] = {}
                for row in rows:
                    if (row["order"], row["test set"], row["metric"]) == (order, test, metric):
                        at.setdefault(100 * row["share"], []).append(row["value"])
                panel.plot(list(at), [np.mean(v) for v in at.values()], **look, markersize=3, label=LOWEST[order])
        line[0].set_ylabel(words)
    for panel, test in zip(panels[0], TESTS, strict=True):
        panel.set_title(test)
    for panel in panels[-1]:
        panel.set_xlabel("weights set to zero (%)")
    add_legend(figure, panels[0], list(LOWEST.values()))
    return figure


def say_pruning(rows: Rows, slack: float = 0.02) -> str:
    """Say up to which share the NLL of confident sources stays within ``slack`` nat of that of all weights."""
    told = []
    for order in LOWEST:
        at: dict[float, list[float]] = {}
        for row in rows:
            if (row["order"], row["test set"], row["metric"]) == (order, "confident", "nll/mean"):
                at.setdefault(row["share"], []).append(row["value"])
        means = {share: float(np.mean(values)) for share, values in at.items()}
        kept = 0.0
        for share, value in sorted(means.items()):
            if value > means[0.0] + slack:
                break
            kept = share
        told.append(f"{order} {100 * kept:.0f} %")
    return (
        f"On confident sources the NLL stays within {slack:g} nat of that with all weights while this share is "
        f"pruned: {', '.join(told)}."
    )
