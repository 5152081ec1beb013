"""From rows to the cells of one table: mean over seeds, interval, paired comparison with the best."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from equirgz.errors import ResultsError
from equirgz.metrics.compare.paired import adjust_holm, paired_t_test
from equirgz.metrics.interval import student_interval
from equirgz.report.rows.pairing import compare_errors
from equirgz.report.rows.pooled_folds import show_folds
from equirgz.report.rows.predictions import CellPredictions
from equirgz.report.rows.table_axes import ANGLE, PAIR, Axes, Place, sort_label_counts, sort_values
from equirgz.tasks import Task
from equirgz.tasks.classification import CLASSES

LEVEL = 0.05  # two-sided, after Holm's correction over all pairs of rows of the table


@dataclass(frozen=True)
class TableCell:
    """One place of a table. ``status``: done, missing, failed, or undefined (a run has no such number).

    ``p_best`` is the Holm-adjusted p of this cell against the best of its column (NaN: not told).
    """

    status: str
    mean: float = math.nan
    half_width: float = math.nan
    n_seeds: int = 0
    n_planned: int = 0
    perfect: float = math.nan
    p_best: float = math.nan

    @property
    def seeds(self) -> str:
        """Seeds that are there, and of how many planned where some are not: "3", "2/3"."""
        return f"{self.n_seeds}/{self.n_planned}" if self.n_seeds < self.n_planned else str(self.n_seeds)


@dataclass(frozen=True)
class Best:
    """The best row of a column and the rows from which it is distinguishable (``marked``: at least one).

    ``tested``: whether any test could be made at all; one seed tells nothing of others.
    """

    row: int
    beats: tuple[int, ...]
    n_others: int
    tested: bool = True

    @property
    def marked(self) -> bool:
        return bool(self.beats)


@dataclass(frozen=True)
class Key:
    """What one table is about."""

    data: str
    split: str
    readout: str
    metric: str
    angle_deg: float = math.nan
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Table:
    """Cells of one metric: rows are ``labels`` (a line per backbone, group, ...), columns (n_labels, augmentation)."""

    key: Key
    labels: pd.DataFrame
    columns: tuple[tuple[float, str], ...]
    cells: dict[tuple[int, int], TableCell]
    best: dict[int, Best]
    unit: str
    direction: str
    facts: dict[str, str] = field(default_factory=dict)  # n, version, data_checksum, selection_rule
    costs: dict[str, list[float]] = field(default_factory=dict)  # column title -> a number per row
    reported: list[str] = field(default_factory=list)
    task: Task = CLASSES

    @cached_property
    def common_seeds(self) -> str:
        """The seeds of most finished cells, as :attr:`TableCell.seeds` says them; "0" without any."""
        seeds = sorted(cell.seeds for cell in self.cells.values() if cell.status == "done")
        return max(seeds, key=seeds.count, default="0")

    @cached_property
    def sizes(self) -> tuple[float, float]:
        """The smallest and the largest size of a mean, zeros left out; (inf, 0) without any."""
        sizes = [abs(cell.mean) for cell in self.cells.values() if cell.status == "done" and cell.mean]
        return min(sizes, default=math.inf), max(sizes, default=0.0)


def make_table(
    key: Key,
    rows: pd.DataFrame,
    planned: pd.DataFrame,
    axes: Axes,
    perfect: pd.DataFrame,
    predictions: Mapping[tuple, CellPredictions] = MappingProxyType({}),
    task: Task = CLASSES,
) -> Table:
    """Return the table of ``rows`` (one value per run) and of the ``planned`` runs beside them.

    Args: planned: run_key, status, naming columns, n_labels, augmentation, seeds of every planned run.
    perfect: run_key and value of the ECE of a perfect model, empty where the table needs none.
    predictions: those of every cell of a table of errors, so that rows are told apart for other test sources too.
    Raises: ResultsError where two versions, two data checksums or two values of one run would mix.
    """
    _check_unmixed(key, rows, axes)
    found, plan = _by_place(rows, axes), _by_place(planned, axes)
    labels = axes.sort(pd.concat([rows, planned], ignore_index=True))
    used = {place[1:] for place in (*found, *plan)}
    columns = tuple(
        (n, a)
        for n in sort_label_counts(n for n, _ in used)
        for a in sort_values({a for _, a in used}, "augmentation")
        if (n, a) in used
    )
    perfect_of = dict(zip(perfect["run_key"], perfect["value"], strict=True))
    names = list(labels.itertuples(index=False, name=None))
    places = {(i, j): (name, *column) for i, name in enumerate(names) for j, column in enumerate(columns)}
    runs = {cell: found.get(place, []) for cell, place in places.items()}
    cells = {cell: _make_cell(runs[cell], plan.get(place, []), perfect_of) for cell, place in places.items()}
    direction = rows["direction"].iloc[0]
    comparable = direction != "none" and ANGLE not in axes.names  # rows at other angles are no rivals
    kept = {cell: predictions.get(place) for cell, place in places.items()}
    crossed = bool(predictions) and all(kept[place] for place, cell in cells.items() if cell.status == "done")
    answers, compare = (kept, compare_errors) if crossed else (runs, _paired_p)
    best = _find_best(answers, compare, cells, len(labels), len(columns), direction) if comparable else {}
    facts = _facts(rows) | {"rivals": "over seeds and test sources" if crossed else "over seeds"}
    return Table(key, labels, columns, cells, best, rows["unit"].iloc[0], direction, facts, task=task)


def _by_place(frame: pd.DataFrame, axes: Axes) -> dict[Place, list[dict[str, Any]]]:
    """Return the lines of ``frame`` (a run each) by their place."""
    places: dict[Place, list[dict[str, Any]]] = {}
    columns = [c for c in (*axes.names, "n_labels", "augmentation", "run_key", "value", "status", *PAIR) if c in frame]
    for values in zip(*(frame[c].tolist() for c in columns), strict=True):
        line = dict(zip(columns, values, strict=True))
        places.setdefault(axes.place(line), []).append(line)
    return places


def _check_unmixed(key: Key, rows: pd.DataFrame, axes: Axes) -> None:
    what = f"table of {key.metric} on {key.data}"
    versions = sorted(rows["version"].unique())
    if len(versions) > 1:
        raise ResultsError(
            what,
            expected="rows of one version",
            got=", ".join(versions),
            mend="run all of them with one version, in a folder of its own",
        )
    twice = rows[rows.duplicated(["run_key", "angle_deg"])]
    if len(twice):
        raise ResultsError(
            what,
            expected="one value per run",
            got=f"several for run {twice['run_key'].iloc[0]}",
            mend="name what differs in a column of its own",
        )
    extra = [name for name in axes.names if name not in ("backbone", "group", "objective", ANGLE)]
    groups = rows.groupby(extra, dropna=False) if extra else [((), rows)]
    for _, group in groups:
        checksums = sorted(group["data_checksum"].unique())
        if len(checksums) > 1:
            raise ResultsError(
                what,
                expected="rows of one data set",
                got=f"data checksums {', '.join(checksums)}",
                mend="keep results of different data in different folders",
            )


def _make_cell(runs: list[dict], planned: list[dict], perfect_of: dict[str, float]) -> TableCell:
    n_planned = max(len(planned), len(runs))
    if not runs:
        failed = any(run["status"] == "failed" for run in planned)
        return TableCell("failed" if failed else "missing", n_planned=n_planned)
    values = [run["value"] for run in runs]
    if np.isnan(values).any():
        return TableCell("undefined", n_seeds=len(runs), n_planned=n_planned)
    interval = student_interval(values)
    perfect = [perfect_of[run["run_key"]] for run in runs if run["run_key"] in perfect_of]
    mean_perfect = float(np.mean(perfect)) if perfect else math.nan
    return TableCell("done", interval.mean, interval.half_width, interval.n, n_planned, mean_perfect)


def _find_best(
    answers: dict[tuple[int, int], Any],
    compare: Callable[[Any, Any], float],
    cells: dict[tuple[int, int], TableCell],
    n_rows: int,
    n_columns: int,
    direction: str,
) -> dict[int, Best]:
    """Compare the best of each column with the others, ``compare`` giving p of two cells.

    The best is known only from the same numbers, so Holm's correction is over all pairs of rows of the table.
    """
    sign = 1 if direction == "lower" else -1
    best_row, pairs = {}, []
    for j in range(n_columns):
        done = [i for i in range(n_rows) if cells[i, j].status == "done"]
        if len(done) < 2:
            continue
        best_row[j] = min(done, key=lambda i: sign * cells[i, j].mean)
        pairs += [(a, b, j) for a, b in itertools.combinations(done, 2)]
    adjusted = adjust_holm([compare(answers[a, j], answers[b, j]) for a, b, j in pairs])
    beats: dict[int, list[int]] = {j: [] for j in best_row}
    tested: set[int] = set()
    for (a, b, j), p in zip(pairs, adjusted, strict=True):
        if best_row[j] in (a, b):
            other = b if best_row[j] == a else a
            cells[other, j] = TableCell(**{**vars(cells[other, j]), "p_best": float(p)})
            tested |= set() if math.isnan(p) else {j}
            if p < LEVEL:
                beats[j].append(other)
    n_done = {j: sum(cells[i, j].status == "done" for i in range(n_rows)) for j in best_row}
    return {j: Best(row, tuple(sorted(beats[j])), n_done[j] - 1, j in tested) for j, row in best_row.items()}


def _paired_p(one: list[dict], other: list[dict]) -> float:
    """Return the p-value of the paired t-test over the seeds that both have; NaN below two."""
    values = [{tuple(run[c] for c in PAIR): run["value"] for run in runs} for runs in (one, other)]
    shared = sorted(values[0].keys() & values[1].keys())
    if len(shared) < 2:
        return math.nan
    return paired_t_test(*([of[pair] for pair in shared] for of in values)).p_value


def _facts(rows: pd.DataFrame) -> dict[str, Any]:
    counts = sorted({int(n) for n in rows["n"].dropna()})
    return {
        "n": "–".join(str(n) for n in dict.fromkeys([counts[0], counts[-1]])) if counts else "",
        "folds": show_folds(rows),
        **{
            column: ", ".join(sorted(set(rows[column]) - {""}))
            for column in ("version", "data_checksum", "selection_rule")
        },
    }
