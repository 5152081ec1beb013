"""Reading a results folder: rows, plan, timings, predictions; no torch anywhere."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from equirgz.errors import ResultsError
from equirgz.paths import as_path
from equirgz.records import ROW_COLUMNS, read_json
from equirgz.report.rows.pooled_folds import (
    Folds,
    group_folds,
    pool_plan,
    pool_predictions,
    pool_rows,
    pool_timings,
)
from equirgz.tasks import Task
from equirgz.tasks.stored import is_kept_column, restore_task

T = TypeVar("T")
NUMBERS = ("value", "n", "angle_deg", "n_labels", "seed", "split_seed")
FR_DATA = ("mirabest", "frdeep", "synthetic_fr")  # class 0 is FRI and class 1 is FRII in all of them
REQUIRED = (
    "run_key",
    "data",
    "backbone",
    "group",
    "augmentation",
    "n_labels",
    "seed",
    "split",
    "metric",
    "value",
)


def load_results(path: Path | str) -> pd.DataFrame:
    """Return the rows of a results folder (or of one rows.csv or rows.csv.gz) as a table, one measured number a line.

    Columns: `equirgz.records.ROW_COLUMNS` and the axes of the grid. value, n, angle_deg, n_labels,
    seed and split_seed are numbers (NaN where empty: a value that is not defined, all labels); all
    other columns are text, empty text where there is none. Rows are sorted, whatever their order on disk.

    Raises: ResultsError where there are no rows, or two files of them, or the file is damaged or of another kind.
    """
    path = as_path(path)
    file = find_rows(path) if path.is_dir() else path
    frame = _read_csv(file, "run `equirgz bench run` or `equirgz bench tables` on the folder first")
    missing = [column for column in REQUIRED if column not in frame.columns]
    if missing:
        raise ResultsError(str(file), expected=f"columns {', '.join(REQUIRED)}", got=f"none called {missing[0]!r}")
    if frame.empty:
        raise ResultsError(str(file), expected="at least one row", got="none", mend="no run has finished")
    for column in ROW_COLUMNS:
        if column not in frame.columns:
            frame[column] = ""
    for column in NUMBERS:
        frame[column] = _to_numbers(frame[column], file)
    extra = sorted(set(frame.columns) - set(ROW_COLUMNS))
    order = ["run_key", "readout", "split", "metric", "angle_deg", *extra]
    return frame[[*ROW_COLUMNS, *extra]].sort_values(order, kind="stable", ignore_index=True)


def find_rows(folder: Path) -> Path:
    """Return the path of a results folder's rows: rows.csv.gz where it is there, else rows.csv, there or not.

    Raises: ResultsError where both are there: nothing tells which of them is the newer run.
    """
    plain, packed = folder / "rows.csv", folder / "rows.csv.gz"
    if plain.exists() and packed.exists():
        raise ResultsError(
            str(folder), expected="rows.csv or rows.csv.gz", got="both", mend="remove the one that is older"
        )
    return packed if packed.exists() else plain


def _read_csv(file: Path, mend: str) -> pd.DataFrame:
    """Read ``file`` with every column as text; a missing or damaged one is a ResultsError."""
    try:
        return pd.read_csv(file, dtype=str, keep_default_na=False).astype(object)
    except FileNotFoundError as error:
        raise ResultsError(str(file), expected="a file", got="none", mend=mend) from error
    except (OSError, EOFError, ValueError) as error:
        raise ResultsError(f"{file}: expected a readable CSV, got {type(error).__name__}: {error}; {mend}") from error


def _to_numbers(column: pd.Series, file: Path) -> pd.Series:
    try:
        return pd.to_numeric(column.where(column != "", None)).astype(float)
    except ValueError as error:
        raise ResultsError(f"{file}: column {column.name!r}: expected numbers, got {error}") from error


@dataclass(frozen=True)
class Results:
    """A results folder: ``rows`` and ``plan`` (grid.json, or {}) at once, the rest when asked for.

    ``folds`` says which runs were joined to one, where the grid is a cross-validation.
    """

    folder: Path
    rows: pd.DataFrame
    plan: dict[str, Any] = field(default_factory=dict)
    folds: Folds | None = None
    _recalled: dict[tuple, Any] = field(default_factory=dict, repr=False, compare=False)

    def __repr__(self) -> str:
        return f"Results({str(self.folder)!r}, {self.rows['run_key'].nunique()} runs, {len(self.rows)} rows)"

    @property
    def name(self) -> str:
        """Name of the grid, else of the folder."""
        return str(self.plan.get("name") or self.folder.resolve().name)

    @property
    def options(self) -> dict[str, Any]:
        """The `report` section of the grid's YAML."""
        return (self.plan.get("document") or {}).get("report") or {}

    @cached_property
    def task(self) -> Task:
        """What the networks were asked: the words for it."""
        return restore_task(self.plan.get("task"))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes: from the `report` section, else those that the data sets of the field share."""
        named = self.options.get("class_names")
        known = all(data.startswith(FR_DATA) for data in self.rows["data"].unique())
        return tuple(named) if named else (("FRI", "FRII") if known else ())

    def recall(self, make: Callable[..., T], *arguments: Hashable) -> T:
        """Return ``make(self, *arguments)``, made once: what several tables and figures are made of."""
        if (make, *arguments) not in self._recalled:
            self._recalled[make, *arguments] = make(self, *arguments)
        return self._recalled[make, *arguments]

    def recalled(self, make: Callable[..., T], *arguments: Hashable) -> T | None:
        """Return what :meth:`recall` has made already, None where it has not."""
        return self._recalled.get((make, *arguments))

    @cached_property
    def failed(self) -> dict[str, str]:
        """Error by key of each run that failed: recorded in the plan, or in cells/ while that folder is there."""
        files = (self.folder / "cells").glob("*.failed.json")
        found = {file.name.removesuffix(".failed.json"): _read_error(file) for file in sorted(files)}
        recorded = self.plan.get("failed") or {}
        return found | (recorded if isinstance(recorded, dict) else dict.fromkeys(recorded, ""))

    @cached_property
    def timings(self) -> pd.DataFrame:
        """Seconds and memory of each run (run_key, metric, value, unit); empty where not recorded."""
        file = self.folder / "timings.csv"
        if not file.exists():
            return pd.DataFrame(columns=["run_key", "metric", "value", "unit"])
        frame = _read_csv(file, "delete it and collect again")
        frame["value"] = _to_numbers(frame["value"], file)
        return frame if self.folds is None else pool_timings(frame, self.folds)

    @cached_property
    def predictions(self) -> pd.DataFrame | None:
        """What is kept of answers per run, readout, split and source (target, p0, p1, ...); None where nothing is."""
        file = self.folder / "predictions.csv.gz"
        if not file.exists():
            return None
        frame = _read_csv(file, "collect again")
        for column in [c for c in frame.columns if is_kept_column(self.task, c)]:
            frame[column] = _to_numbers(frame[column], file)
        return frame if self.folds is None else pool_predictions(frame, self.folds)


def _read_error(file: Path) -> str:
    """Return what a failed run says of itself; "" where the record cannot be read."""
    try:
        record = read_json(file)
    except ResultsError:
        return ""
    return str(record.get("error", "")) if isinstance(record, dict) else ""


def open_results(folder: Path | str | Results) -> Results:
    """Return the `Results` of a folder, folds of a cross-validation joined; see `load_results` for what is raised."""
    if isinstance(folder, Results):
        return folder
    folder = as_path(folder)
    if not folder.is_dir():
        raise ResultsError(str(folder), expected="a results folder", got="none", mend="check the path")
    file = folder / "grid.json"
    plan = read_json(file) if file.exists() else {}
    if not isinstance(plan, dict):
        raise ResultsError(str(file), expected="a mapping", got=type(plan).__name__)
    results = Results(folder, load_results(folder), plan)
    folds = group_folds(results.rows, plan)
    if folds is None:
        return results
    joined = Results(folder, results.rows, pool_plan(plan, results.failed, folds), folds)
    return Results(folder, pool_rows(results.rows, joined.predictions, folds, joined.task), joined.plan, folds)
