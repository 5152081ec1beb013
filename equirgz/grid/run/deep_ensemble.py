"""Deep ensembles from the runs of a grid: networks that differ in seed alone (arXiv 1612.01474).

A YAML asks for them with ``report: {ensemble: {method: ensemble}}``; the mapping gives the axis labels
under which they stand in the tables. Nothing is trained: the stored probabilities of runs with one
configuration and one ``split_seed`` (so with the same labelled sources) are averaged, source by
source, and measured as those of any run. The members' answers are predictive samples as well: the network's
have the rows of uncertainty and selective prediction of :func:`equirgz.grid.run.sample_rows.sample_rows`.
Legend: M members, N sources, K classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from equirgz.errors import InputError, ResultsError, suggest
from equirgz.grid.run.blocks import score_dump
from equirgz.grid.run.sample_rows import sample_rows
from equirgz.records import ROW_COLUMNS, content_hash
from equirgz.tasks import Task
from equirgz.tasks.classification import CLASSES

SUMMED_COSTS = ("cost/parameters", "cost/multiply_adds")  # all members are kept and computed


def check_ensemble_labels(report: dict[str, Any], columns: list[str], source: str) -> None:
    """Raise InputError unless ``report.ensemble``, where there is one, gives labels of axes of the grid."""
    labels = report.get("ensemble")
    if labels is None:
        return
    if not isinstance(labels, dict) or not labels:
        raise InputError(f"{source}: report.ensemble: expected a mapping of axis to label, got {labels!r}")
    for name in labels:
        if name not in columns:
            raise InputError(f"{source}: report.ensemble: unknown axis {name!r}; {suggest(str(name), columns)}")


def make_ensembles(
    plan: dict[str, Any], cells: dict[str, dict[str, Any]], task: Task = CLASSES
) -> list[dict[str, Any]]:
    """Return the ensembles of a plan's finished runs, each as a planned run with its ``cell`` beside it.

    ``cells`` holds finished runs by run_key. Groups smaller than the largest one are left out: they
    are incomplete, and ensembles of different sizes are not compared. The ensemble stands under the
    seed of its first member, so that it is paired with the runs of that seed.
    Raises: ResultsError where the members' predictions are of different sources.
    """
    labels = (plan["document"].get("report") or {}).get("ensemble")
    if labels is None:
        return []
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for run in plan["runs"]:
        cell = cells.get(run["run_key"])
        if cell is not None and cell["predictions"]:
            place = (run["cell_key"], cell["config"]["split"]["split_seed"])
            groups.setdefault(place, []).append({**run, "cell": cell})
    size = max(map(len, groups.values()), default=0)
    if size < 2:
        return []
    return [_make_ensemble(members, labels, task) for members in groups.values() if len(members) == size]


def _make_ensemble(members: list[dict[str, Any]], labels: dict[str, Any], task: Task) -> dict[str, Any]:
    members = sorted(members, key=lambda run: (run["cell"]["config"]["seed"], run["run_key"]))
    first, cells = members[0], [run["cell"] for run in members]
    run_key = content_hash({"ensemble": [run["run_key"] for run in members]})
    stacked = [_stack(blocks, task) for blocks in _by_place(cells)]
    blocks = [{**block, task.averaged: task.average(answer_MN).tolist()} for block, answer_MN in stacked]
    shared = {column: cells[0]["rows"][0].get(column) for column in ROW_COLUMNS}
    shared |= {"run_key": run_key, "cell_key": content_hash({"ensemble": first["cell_key"]}), "angle_deg": None}
    found = [row for block in blocks for row in score_dump(task, block)]
    found += _uncertainty(stacked) if task.categorical else []
    rows = [{**shared, **row} for row in found] + _costs(cells, run_key)
    cell = {**cells[0], "run_key": run_key, "rows": rows, "predictions": blocks, "timings": _add_seconds(cells)}
    return {"run_key": run_key, "cell_key": shared["cell_key"], "labels": {**first["labels"], **labels}, "cell": cell}


def _by_place(cells: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return, per (readout, split) that every member has, the members' blocks."""
    found = [{(block["readout"], block["split"]): block for block in cell["predictions"]} for cell in cells]
    shared = sorted(set.intersection(*(set(blocks) for blocks in found)))
    return [[blocks[place] for blocks in found] for place in shared]


def _stack(blocks: list[dict[str, Any]], task: Task) -> tuple[dict[str, Any], np.ndarray]:
    """Return the first member's block and the answers of all, of classes probabilities p_MNK."""
    first = blocks[0]
    for block in blocks[1:]:
        if block["source_id"] != first["source_id"] or block["target"] != first["target"]:
            place = f"{first['readout']} on {first['split']}"
            raise ResultsError(f"ensemble, {place}", expected="the same sources from every member", got="others")
    return first, np.array([block[task.averaged] for block in blocks], dtype=np.float64)


def _uncertainty(stacked: list[tuple[dict[str, Any], np.ndarray]]) -> list[dict[str, Any]]:
    """Return the rows of the networks' answers, split by split, one member a sample; none without that read-out."""
    networks = [(block, p_MNK) for block, p_MNK in stacked if block["readout"] == "network"]
    samples = {block["split"]: p_MNK for block, p_MNK in networks}
    targets = {block["split"]: np.asarray(block["target"]) for block, _ in networks}
    return [{"readout": "network", **row} for row in sample_rows(samples, targets)]


def _costs(cells: list[dict[str, Any]], run_key: str) -> list[dict[str, Any]]:
    """Return the members' cost rows: parameters and multiply-adds added up, others those of one member."""
    rows = [row for row in cells[0]["rows"] if str(row["metric"]).startswith("cost/")]
    return [
        {**row, "run_key": run_key, "value": row["value"] * (len(cells) if row["metric"] in SUMMED_COSTS else 1)}
        for row in rows
    ]


def _add_seconds(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the members' seconds added up, metric by metric."""
    total: dict[str, float] = {}
    for cell in cells:
        for timing in cell["timings"]:
            if timing["unit"] == "s":
                total[timing["metric"]] = total.get(timing["metric"], 0.0) + timing["value"]
    return [{"metric": metric, "value": value, "unit": "s"} for metric, value in total.items()]
