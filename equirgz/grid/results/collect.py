"""From finished runs to ``rows.csv``, ``predictions.csv.gz``, ``timings.csv``, ``provenance.csv``, ``splits.csv``.

The first two are functions of the finished runs alone: sorted, without times or hosts, so that a
grid that was killed and resumed gives the same bytes as one that was not.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from equirgz.paths import as_path
from equirgz.errors import ResultsError
from equirgz.grid.run.deep_ensemble import make_ensembles
from equirgz.grid.results.environments import list_environments
from equirgz.grid.results.folder import ResultsFolder
from equirgz.grid.results.split_manifests import COLUMNS as SPLIT_COLUMNS
from equirgz.grid.results.split_manifests import write_splits
from equirgz.tasks import Task
from equirgz.tasks.stored import is_kept_column, kept_columns, restore_task
from equirgz.records import ROW_COLUMNS, gzip_bytes, write_bytes_atomic, write_json_atomic

logger = logging.getLogger("equirgz")
PREDICTION_COLUMNS = (
    "run_key", "cell_key", "data", "backbone", "group", "objective", "augmentation", "n_labels", "split_seed", "seed",
)
TIMING_COLUMNS = ("run_key", "metric", "value", "unit", "device", "version")


def collect(out: Path) -> Path:
    """Write the tables of the results folder ``out``; return the path of rows.csv.

    Runs that are missing, failed or no part of grid.json give no row; the keys of failed ones
    and their errors are written to grid.json, as is the task where it is not classification, so that tables and page show them where cells/ is not kept.
    A damaged file of a run counts as missing and is named by the logger ``equirgz``. Raises ResultsError when
    the folder holds no plan, or no finished run at all.
    """
    folder = ResultsFolder(as_path(out))
    plan = folder.read_plan()
    if plan is None:
        raise ResultsError(f"{out}: expected a results folder with grid.json, got none; start with `equirgz bench run`")
    cells = _read_cells(folder, plan)
    described = next((cell["task"] for cell in cells.values() if cell.get("task")), plan.get("task"))
    task = restore_task(described)
    folds = {run_key: _folds(cell) for run_key, cell in cells.items()}
    extra = sorted({*plan["columns"], *chain(*folds.values())} - set(ROW_COLUMNS) - {"replicate"})
    environments, splits = list_environments(cells), write_splits(folder.path, cells)
    ensembles = make_ensembles(plan, cells, task)
    cells |= {run["run_key"]: run["cell"] for run in ensembles}
    folds |= {run["run_key"]: _folds(run["cell"]) for run in ensembles}
    rows, predictions, timings = [], [], []
    for run in (*plan["runs"], *ensembles):
        if run["run_key"] not in cells:
            continue
        cell = cells[run["run_key"]]
        labels = {key: value for key, value in run["labels"].items() if key in extra or _is_label(key, plan)}
        labels |= folds[run["run_key"]]
        common = {"grid": plan["name"], **labels}
        rows += [{**row, **common} for row in cell["rows"]]
        predictions += _prediction_lines(cell, labels, task)
        timings += [{"run_key": run["run_key"], "version": cell["version"], "device": _device(cell), **timing}
                    for timing in cell["timings"]]
    keys = sorted(run["run_key"] for run in plan["runs"] if _has_failed(folder, run["run_key"]))
    failed = {key: str(folder.read_failed(key).get("error", "")) for key in keys}
    found = {**plan, "failed": failed, **({"task": described} if described else {})}
    if failed != plan.get("failed", {}) or described != plan.get("task"):
        write_json_atomic(folder.grid, found)
    if not rows:
        raise ResultsError(f"{out}: expected at least one finished run, got none; see `equirgz bench status {out}`")
    order = ("run_key", "readout", "split", "metric", "angle_deg")
    rows.sort(key=lambda row: tuple(_sortable(row.get(key)) for key in order))
    path = folder.path / "rows.csv"
    write_bytes_atomic(path, _csv((*ROW_COLUMNS, *extra), rows))
    (folder.path / "rows.csv.gz").unlink(missing_ok=True)  # the same rows, as `equirgz bench slim` packed them
    write_bytes_atomic(folder.path / "predictions.csv.gz", gzip_bytes(_prediction_csv(predictions, extra, task)))
    timings.sort(key=lambda timing: (timing["run_key"], timing["metric"]))
    write_bytes_atomic(folder.path / "timings.csv", _csv(TIMING_COLUMNS, timings))
    write_bytes_atomic(folder.path / "provenance.csv", _csv(*environments))
    if splits:
        write_bytes_atomic(folder.path / "splits.csv", _csv(SPLIT_COLUMNS, splits))
    return path


def _read_cells(folder: ResultsFolder, plan: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the finished runs of a plan by run_key, without those whose file is damaged."""
    cells = {}
    for run in plan["runs"]:
        if folder.cell(run["run_key"]).exists():
            try:
                cells[run["run_key"]] = folder.read_cell(run["run_key"])
            except ResultsError as error:
                logger.warning("%s; left out as missing, `equirgz bench run` computes it again", error)
    return cells


def _folds(cell: dict[str, Any]) -> dict[str, int]:
    """Return fold and n_folds of a run of a cross-validation, {} of any other."""
    split = cell["config"]["split"]
    return {key: split[key] for key in ("fold", "n_folds") if split.get(key) is not None}


def _has_failed(folder: ResultsFolder, run_key: str) -> bool:
    return folder.failed(run_key).exists() and not folder.cell(run_key).exists()


def _is_label(column: str, plan: dict[str, Any]) -> bool:
    """True for an axis whose entries are mappings under the name of a row column: its label replaces the value."""
    entries = plan["document"]["axes"].get(column) if column in ROW_COLUMNS else None
    return isinstance(entries, list) and any(isinstance(entry, dict) for entry in entries)


def _device(cell: dict[str, Any]) -> str:
    return str(cell["provenance"]["device"]["device"])


def _prediction_lines(cell: dict[str, Any], labels: dict[str, Any], task: Task) -> Iterable[dict[str, Any]]:
    if not cell["predictions"]:
        return
    first = cell["rows"][0]
    common = {**{key: first.get(key) for key in PREDICTION_COLUMNS}, **labels}
    for block in sorted(cell["predictions"], key=lambda block: (block["readout"], block["split"])):
        arrays = [block[name] for name in task.kept]
        for source_id, *values in zip(block["source_id"], *arrays, strict=True):
            kept = kept_columns(task, dict(zip(task.kept, values, strict=True)))
            place = {"readout": block["readout"], "split": block["split"], "source_id": source_id}
            yield {**common, **place, **kept}


def _prediction_csv(lines: list[dict[str, Any]], extra: list[str], task: Task) -> bytes:
    lines.sort(key=lambda line: line["run_key"])  # stable: the order within a run stays
    kept = dict.fromkeys(key for line in lines for key in line if is_kept_column(task, key))
    prefixes = list(task.kept.values())
    kept = sorted(kept, key=lambda key: _place_of(key, prefixes))
    return _csv((*PREDICTION_COLUMNS, *extra, "readout", "split", "source_id", *kept), lines, digits=7)


def _place_of(column: str, prefixes: list[str]) -> tuple[int, int]:
    """Return where a kept column stands: in the order of the prefixes, then by its number."""
    name = column if column in prefixes else column.rstrip("0123456789")
    return prefixes.index(name), int(column[len(name) :] or 0)


def _csv(columns: tuple[str, ...], lines: Iterable[dict[str, Any]], digits: int | None = None) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="raise", restval="")
    writer.writeheader()
    for line in lines:
        writer.writerow({key: _format(value, digits) for key, value in line.items()})
    return text.getvalue().encode()


def _format(value: Any, digits: int | None) -> Any:
    if isinstance(value, float):
        return f"{value:.{digits}g}" if digits else repr(value)
    return "" if value is None else value


def _sortable(value: Any) -> tuple[int, Any]:
    if value is None or value == "":
        return (0, 0)
    return (1, float(value)) if isinstance(value, (int, float)) else (2, str(value))
