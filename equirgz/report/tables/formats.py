"""A table as tidy lines with every number, and as the words that are printed."""

from __future__ import annotations

import math
import re
from typing import Any

from equirgz.report.rows.table_axes import show_labels, show_value
from equirgz.report.tables.cells import Table
from equirgz.report.tables.sheet import Sheet
from equirgz.report.tables.wording import best_text, caption, cell_text, cost_text, short_caption, title

BEST_ROW = "best (told apart from)"
CSV_COLUMNS = (
    "n_labels",
    "augmentation",
    "status",
    "mean",
    "half_width_95",
    "n_seeds",
    "n_planned",
    "unit",
    "n_sources",
    "perfect",
    "is_best",
    "is_marked",
    "p_against_best_holm",
)


def make_lines(table: Table) -> list[list[Any]]:
    """Return the tidy form: a header, then one line per cell with full digits, NaN as nothing."""
    costs = [re.sub(r"\W+", "_", name).strip("_") for name in table.costs]
    lines = [[*table.labels.columns, *CSV_COLUMNS, *costs]]
    for i, label in enumerate(table.labels.itertuples(index=False, name=None)):
        for j, (n_labels, augmentation) in enumerate(table.columns):
            cell, best = table.cells[i, j], table.best.get(j)
            is_best = best is not None and best.row == i
            numbers = (cell.perfect, int(is_best), int(is_best and best.marked), cell.p_best)
            lines.append(
                [
                    *label,
                    show_labels(n_labels),
                    augmentation,
                    cell.status,
                    _digits(cell.mean),
                    _digits(cell.half_width),
                    cell.n_seeds,
                    cell.n_planned,
                    table.unit,
                    table.facts["n"],
                    *map(_digits, numbers),
                    *(_digits(values[i]) for values in table.costs.values()),
                ]
            )
    return lines


def _digits(value: float) -> str:
    return "" if isinstance(value, float) and math.isnan(value) else f"{value:.8g}"


def make_sheet(table: Table) -> Sheet:
    """Return the words of a table, the same for every printed format."""
    names, n_columns = list(table.labels.columns), len(table.columns)
    rest = ["reported"] * bool(table.reported) + list(table.costs)
    header = [*names, *(augmentation for _, augmentation in table.columns), *rest]
    upper = [*[""] * len(names), *(f"{show_labels(n)} labels" for n, _ in table.columns), *[""] * len(rest)]
    lines, bold, footer = [], set(), []
    for i, label in enumerate(table.labels.itertuples(index=False, name=None)):
        cells = [cell_text(table, i, j) for j in range(n_columns)]
        bold |= {(i, len(names) + j) for j, cell in enumerate(cells) if cell.bold}
        costs = (cost_text(values[i]) for values in table.costs.values())
        lines.append([*map(show_value, label), *(c.words for c in cells), *table.reported[i : i + 1], *costs])
    if table.best:
        best = (best_text(table, j) for j in range(n_columns))
        footer = [[BEST_ROW, *[""] * (len(names) - 1), *best, *[""] * len(rest)]]
    unit = f" ({table.unit})" if table.unit != "1" else ""
    label = re.sub(r"\W+", "-", f"{table.key.metric}-{table.key.split}-{table.key.readout}")
    return Sheet(
        title(table) + unit, len(names), header, upper, lines, caption(table), bold, footer, label, short_caption(table)
    )
