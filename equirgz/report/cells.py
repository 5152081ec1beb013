"""From rows to the cells of one table: mean over seeds, interval, paired comparison with the best."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from equirgz.errors import ResultsError, explain
from equirgz.metrics.interval import student_interval
from equirgz.metrics.paired import adjust_holm, paired_t_test
from equirgz.report.axes import PAIR, Axes, sort_values

LEVEL = 0.05  # two-sided, after Holm's correction over the table


@dataclass(frozen=True)
class Cell:
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


@dataclass(frozen=True)
class Best:
    """The best row of a column and the rows from which it is distinguishable (``marked``: at least one)."""

    row: int
    beats: tuple[int, ...]
    n_others: int

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
    cells: dict[tuple[int, int], Cell]
    best: dict[int, Best]
    unit: str
    direction: str
    facts: dict[str, str] = field(default_factory=dict)  # n, version, data_checksum, selection_rule
    costs: dict[str, list[float]] = field(default_factory=dict)  # column title -> a number per row
    reported: list[str] = field(default_factory=list)


def make_table(
    key: Key, rows: pd.DataFrame, planned: pd.DataFrame, axes: Axes, perfect: pd.DataFrame
) -> Table:
    """Return the table of ``rows`` (one value per run) and of the ``planned`` runs beside them.

    Args: planned: run_key, status, naming columns, n_labels, augmentation, seeds of every planned run.
    perfect: run_key and value of the ECE of a perfect model, empty where the table needs none.
    Raises: ResultsError where two versions, two data checksums or two values of one run would mix.
    """
    _check_unmixed(key, rows, axes)
    both = pd.concat([rows, planned], ignore_index=True)
    labels = axes.sort(both)
    places = both[["n_labels", "augmentation"]].drop_duplicates()
    columns = tuple(
        (n, a)
        for n in sort_values(places["n_labels"].astype(object).where(places["n_labels"].notna(), None))
        for a in sort_values(places["augmentation"], "augmentation")
        if _select(places, n, a).shape[0]
    )
    perfect_of = dict(zip(perfect["run_key"], perfect["value"], strict=True)) if len(perfect) else {}
    values: dict[tuple[int, int], pd.DataFrame] = {}
    cells: dict[tuple[int, int], Cell] = {}
    for i, label in labels.iterrows():
        mine, plan = (_match(frame, label) for frame in (rows, planned))
        for j, (n, a) in enumerate(columns):
            values[i, j] = _select(mine, n, a)
            cells[i, j] = _make_cell(values[i, j], _select(plan, n, a), perfect_of)
    direction = rows["direction"].iloc[0]
    best = _find_best(values, cells, len(labels), len(columns), direction)
    return Table(key, labels, columns, cells, best, rows["unit"].iloc[0], direction, _facts(rows))


def _check_unmixed(key: Key, rows: pd.DataFrame, axes: Axes) -> None:
    what = f"table of {key.metric} on {key.data}"
    versions = sorted(rows["version"].unique())
    if len(versions) > 1:
        raise ResultsError(
            explain(
                what,
                expected="rows of one version",
                got=", ".join(versions),
                mend="run all of them with one version, in a folder of its own",
            )
        )
    twice = rows[rows.duplicated("run_key")]
    if len(twice):
        raise ResultsError(
            explain(
                what,
                expected="one value per run",
                got=f"several for run {twice['run_key'].iloc[0]}",
                mend="name what differs in a column of its own",
            )
        )
    extra = [name for name in axes.names if name not in ("backbone", "group", "objective")]
    groups = rows.groupby(extra, dropna=False) if extra else [((), rows)]
    for _, group in groups:
        checksums = sorted(group["data_checksum"].unique())
        if len(checksums) > 1:
            raise ResultsError(
                explain(
                    what,
                    expected="rows of one data set",
                    got=f"data checksums {', '.join(checksums)}",
                    mend="keep results of different data in different folders",
                )
            )


def _match(frame: pd.DataFrame, label: pd.Series) -> pd.DataFrame:
    for column, value in label.items():
        column_values = frame[column]
        frame = frame[column_values.isna() if pd.isna(value) else column_values == value]
    return frame


def _select(frame: pd.DataFrame, n_labels: float | None, augmentation: str) -> pd.DataFrame:
    n = frame["n_labels"].isna() if n_labels is None or pd.isna(n_labels) else frame["n_labels"] == n_labels
    return frame[n & (frame["augmentation"] == augmentation)]


def _make_cell(found: pd.DataFrame, planned: pd.DataFrame, perfect_of: dict[str, float]) -> Cell:
    n_planned = max(len(planned), len(found))
    if found.empty:
        failed = (planned["status"] == "failed").any() if len(planned) else False
        return Cell("failed" if failed else "missing", n_planned=n_planned)
    if found["value"].isna().any():
        return Cell("undefined", n_seeds=len(found), n_planned=n_planned)
    interval = student_interval(found["value"].to_numpy())
    perfect = [perfect_of[run_key] for run_key in found["run_key"] if run_key in perfect_of]
    return Cell(
        "done",
        interval.mean,
        interval.half_width,
        interval.n,
        n_planned,
        float(np.mean(perfect)) if perfect else math.nan,
    )


def _find_best(
    values: dict[tuple[int, int], pd.DataFrame],
    cells: dict[tuple[int, int], Cell],
    n_rows: int,
    n_columns: int,
    direction: str,
) -> dict[int, Best]:
    """Compare the best of each column with the others by paired t over shared seeds; Holm over the table."""
    if direction == "none":
        return {}
    sign = 1 if direction == "lower" else -1
    best_row, tests = {}, []
    for j in range(n_columns):
        done = [i for i in range(n_rows) if cells[i, j].status == "done"]
        if len(done) < 2:
            continue
        best_row[j] = min(done, key=lambda i: sign * cells[i, j].mean)
        tests += [(i, j, _paired_p(values[best_row[j], j], values[i, j])) for i in done if i != best_row[j]]
    adjusted = adjust_holm([p for _, _, p in tests])
    beats: dict[int, list[int]] = {j: [] for j in best_row}
    for (i, j, _), p in zip(tests, adjusted, strict=True):
        cells[i, j] = Cell(**{**vars(cells[i, j]), "p_best": float(p)})
        if p < LEVEL:
            beats[j].append(i)
    return {
        j: Best(row, tuple(sorted(beats[j])), sum(1 for _, column, _ in tests if column == j))
        for j, row in best_row.items()
    }


def _paired_p(one: pd.DataFrame, other: pd.DataFrame) -> float:
    pairs = one[[*PAIR, "value"]].merge(other[[*PAIR, "value"]], on=PAIR)
    if len(pairs) < 2:
        return math.nan
    return paired_t_test(pairs["value_x"].to_numpy(), pairs["value_y"].to_numpy()).p_value


def _facts(rows: pd.DataFrame) -> dict[str, Any]:
    counts = sorted({int(n) for n in rows["n"].dropna()})
    return {
        "n": "–".join(str(n) for n in dict.fromkeys([counts[0], counts[-1]])) if counts else "",
        **{
            column: ", ".join(sorted(set(rows[column]) - {""}))
            for column in ("version", "data_checksum", "selection_rule")
        },
    }
