"""Which rows of a table are compared with which, and over which seeds: shared by all tables of differences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from equirgz.errors import InputError
from equirgz.metrics.compare.crossed import crossed_test
from equirgz.report.rows.parts import Part
from equirgz.report.rows.predictions import CellPredictions, find_predictions
from equirgz.report.rows.results import Results
from equirgz.report.rows.table_axes import Axes, show_value, sort_label_counts, sort_values

Column = tuple[float, str]  # label count, augmentation


Name = tuple  # the values that name a row, one for each of the axes


@dataclass(frozen=True)
class Pairing:
    """Rows and columns of a table in order, pairs (row, reference), and the stored predictions of each place."""

    names: list[Name]
    columns: list[Column]
    pairs: list[tuple[Name, Name]]
    cells: dict[tuple, CellPredictions]

    def cells_of(
        self, pair: tuple[Name, Name], column: Column
    ) -> tuple[CellPredictions | None, CellPredictions | None]:
        """Return the cell of a row and that of its reference, None where there is none."""
        name, reference = pair
        return self.cells.get((name, *column)), self.cells.get((reference, *column))


def pair_rows(results: Results, part: Part) -> Pairing:
    """Pair each row with its references (see :func:`find_references`)."""
    cells = find_predictions(results, part)
    rows = part.rows[part.rows["metric"] == part.task.headline.metric]
    names = [tuple(row) for row in part.axes.sort(rows).itertuples(index=False, name=None)]
    columns = [(n, a) for n in sort_label_counts(p[1] for p in cells)
               for a in sort_values({p[2] for p in cells}, "augmentation")]  # fmt: skip
    baseline = find_baseline(results, part.rows, part.axes)
    pairs = [(name, other) for name in names for other in find_references(name, names, baseline)]
    return Pairing(names, columns, pairs, cells)


def find_baseline(results: Results, rows: pd.DataFrame, axes: Axes) -> Name:
    """Return the value of each axis that the others are measured against.

    Of the group it is C1, if there is one; of another axis what ``report: {reference: {AXIS: VALUE}}`` says, else
    its value in the first of the planned runs that has rows.
    """
    place = {run["run_key"]: i for i, run in enumerate(results.plan.get("runs", ()))}
    first = rows.loc[rows["run_key"].map(lambda key: place.get(key, len(place))).idxmin()]
    named = {"group": "C1"} | check_reference(results.options, results.name)
    chosen = []
    for column in axes.names:
        known = {show_value(value): value for value in rows[column]}
        chosen.append(known.get(show_value(named.get(column)), first[column]))
    return tuple(chosen)


def check_reference(options: Mapping[str, Any], source: str = "grid") -> dict[str, Any]:
    """Return the baselines by axis that a grid's ``report`` section names; raise InputError for no mapping of them."""
    named = options.get("reference") or {}
    if not isinstance(named, Mapping) or any(isinstance(value, (list, Mapping)) for value in named.values()):
        expected = "a mapping of axes to one label each, such as {method: supervised}"
        raise InputError(f"{source}: key 'report.reference'", expected=expected, got=repr(named))
    return dict(named)


def find_references(name: Name, names: list[Name], baseline: Name) -> list[Name]:
    """Return the rows that ``name`` is compared with: for each axis off its baseline, the row that has it there.

    That row shares all other values; where there is none, all but those that follow from the axis, as the objective
    from the method; or it is the plain kin of a backbone, as resnet18 of steerable_resnet18. A row without any is
    compared with the baseline row, if that exists, else with the first row.
    """
    shown = {other: tuple(map(show_value, other)) for other in names}
    mine, base = shown[name], tuple(map(show_value, baseline))
    found = []
    for axis in range(len(base)):
        if mine[axis] == base[axis]:
            continue
        there = [other for other in names if shown[other][axis] == base[axis]]
        following = _following(axis, list(shown.values()))
        for free, view in (({axis}, tuple), ({axis, *following}, tuple), ({axis}, _as_kin)):
            wanted = [value for i, value in enumerate(view(mine)) if i not in free]
            twins = [other for other in there
                     if [value for i, value in enumerate(view(shown[other])) if i not in free] == wanted]  # fmt: skip
            if twins:
                found.append(twins[0])
                break
    if not found:
        found = [other for other in names if shown[other] == base][:1] or names[:1]
    return [other for other in dict.fromkeys(found) if other != name]


def _as_kin(row: tuple[str, ...]) -> tuple[str, ...]:
    """Return the row with its backbone (always the first axis) named as the plain network that it makes steerable."""
    return row[0].removeprefix("steerable_"), *row[1:]


def _following(axis: int, shown: list[tuple]) -> set[int]:
    """Return the axes whose value is settled by that of ``axis``, and which are not alike in all rows."""
    values = {row[axis] for row in shown}
    settled = set()
    for i in range(len(shown[0])):
        seen = {value: {row[i] for row in shown if row[axis] == value} for value in values}
        if i != axis and all(len(found) == 1 for found in seen.values()):
            settled.add(i)
    return settled


def compare_errors(mine: CellPredictions, other: CellPredictions) -> float:
    """Return p of no difference in error, over other seeds and other test sources; NaN where not comparable."""
    pair = pair_errors(mine, other)
    if pair is None or len(pair[0]) < 2:
        return math.nan
    _, a_RS, b_RS = pair
    return crossed_test(a_RS - b_RS).p_value


def pair_errors(
    mine: CellPredictions | None, other: CellPredictions | None
) -> tuple[tuple, np.ndarray, np.ndarray] | None:
    """Return (shared seeds, loss_RS of one cell, loss_RS of the other); None where they cannot be compared."""
    shared = share_seeds(mine, other)
    if not shared or len(mine.source_ids) < 2:
        return None
    a_RS, b_RS = (cell.loss_RS[[cell.pairs.index(pair) for pair in shared]] for cell in (mine, other))
    return shared, a_RS, b_RS


def share_seeds(mine: CellPredictions | None, other: CellPredictions | None) -> tuple:
    """Return the seeds that two cells of the same test sources have in common; () where they cannot be compared."""
    if mine is None or other is None or not same_sources(mine, other):
        return ()
    return tuple(sorted(set(mine.pairs) & set(other.pairs)))


def same_sources(mine: CellPredictions, other: CellPredictions) -> bool:
    """Return whether two cells answer for the same test sources: of classes the targets tell, else the names."""
    if mine.task.categorical:
        return np.array_equal(mine.target_S, other.target_S)
    return mine.source_ids == other.source_ids
