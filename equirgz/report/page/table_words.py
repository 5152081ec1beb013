"""What the page shows of tables: words, numbers to sort by, links to runs, and the series of the figure."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from typing import Any

import matplotlib as mpl

from equirgz.metrics.base import METRICS, find_range
from equirgz.report.figures.style import group_look
from equirgz.report.page.runs import Cells
from equirgz.report.rows.table_axes import ALL_LABELS, ANGLE, show_labels
from equirgz.report.tables.cells import Table
from equirgz.report.tables.statistics import Statistic
from equirgz.report.tables.wording import best_text, caption, cell_text, cost_text, row_name, title
from equirgz.report.tables.write import folder_of, shown_first


def view_table(table: Table, cells: Cells) -> dict[str, Any]:
    columns = range(len(table.columns))
    rows = []
    for i in range(len(table.labels)):
        views = []
        for j in columns:
            cell, text = table.cells[i, j], cell_text(table, i, j)
            mean = None if math.isnan(cell.mean) else cell.mean
            views.append({"text": text.words, "bold": text.bold, "sort": mean, "link": cells.link(table, i, j)})
        costs = [{"text": cost_text(values[i]), "sort": _finite(values[i])} for values in table.costs.values()]
        reported = table.reported[i] if table.reported else ""
        rows.append({"name": row_name(table, i), "cells": views, "costs": costs, "reported": reported})
    key = table.key
    return {
        "title": title(table),
        "where": f"{key.split}, {key.readout}",
        "unit": "" if table.unit == "1" else table.unit,
        "columns": [_column_title(table, j).split(", ", 1) for j in columns],
        "costs": list(table.costs),
        "reported": bool(table.reported),
        "rows": rows,
        "best": [(_column_title(table, j), best_text(table, j)) for j in columns] if table.best else [],
        "caption": ". ".join(caption(table, best="Above")) + ".",
    }


def view_sheet(found: Statistic) -> dict[str, Any]:
    """Return what the page shows of a table of tests, fits or extras."""
    sheet, part = found.sheet, found.part
    return {
        "title": sheet.title,
        "where": f"{part.data + ', ' if part.several else ''}{part.split}, {part.readout}",
        "columns": list(zip(sheet.upper, sheet.header, strict=True)),
        "rows": [
            [
                (word, (i, j) in sheet.bold, None if j < sheet.n_names else _leading_number(word))
                for j, word in enumerate(line)
            ]
            for i, line in enumerate(sheet.lines)
        ],
        "best": sheet.footer,
        "caption": ". ".join(sheet.caption) + ".",
    }


def make_chart(table: Table) -> dict[str, Any] | None:
    """Return the means of one headline table as series over the label count, or over the rows where it is one."""
    first = folder_of(table.key, table.task) == "tables" and table.key.metric in shown_first(table.task)
    if not first or ANGLE in table.labels:
        return None
    counts = sorted({n for n, _ in table.columns if n != ALL_LABELS})
    by_labels = len(counts) > 1
    series: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for i in range(len(table.labels)):
        for j, (n_labels, augmentation) in enumerate(table.columns):
            cell = table.cells[i, j]
            if cell.status != "done":
                continue
            place = (None if n_labels == ALL_LABELS else n_labels) if by_labels else row_name(table, i)
            name = f"{row_name(table, i)}, {augmentation}" if by_labels else _column_title(table, j)
            half = _finite(cell.half_width)
            low, high = _ends(table, cell.mean, half)
            colour, marker = group_look(str(table.labels.iloc[i]["group"]))
            point = {"x": place, "y": cell.mean, "half": half, "low": low, "high": high, "n": cell.n_seeds}
            series[name].append(point | {"colour": mpl.colors.to_hex(colour), "marker": marker})
    if not series:
        return None
    key, fills = table.key, _count_within_groups(series)
    return {
        "title": f"{title(table)} – {key.data}, {key.split}, {key.readout}",
        "unit": "" if table.unit == "1" else table.unit,
        "x": "labelled training sources" if by_labels else "",
        "y": title(table) + ("" if table.unit == "1" else f" ({table.unit})"),
        "categories": None if by_labels else [row_name(table, i) for i in range(len(table.labels))],
        "series": [
            {"name": name, "points": points, "fill": fills[name] if by_labels else k}
            for k, (name, points) in enumerate(series.items())
        ],
    }


def _count_within_groups(series: dict[str, list[dict[str, Any]]]) -> dict[str, int]:
    """Return which of the series of its group (its colour and marker) each one is."""
    seen: dict[tuple, int] = defaultdict(int)
    places = {}
    for name, points in series.items():
        look = (points[0]["colour"], points[0]["marker"])
        places[name] = seen[look]
        seen[look] += 1
    return places


def _ends(table: Table, mean: float, half: float | None) -> tuple[float, float]:
    """Return the ends of an interval inside the metric's range: those of a rate lie from 0 to 100 %."""
    known = table.key.metric in METRICS.names()
    lowest, highest = find_range(METRICS.get(table.key.metric).function) if known else (-math.inf, math.inf)
    lowest, highest = (0.0, 100.0) if table.unit == "%" else (lowest, highest)
    return max(mean - (half or 0.0), lowest), min(mean + (half or 0.0), highest)


def _column_title(table: Table, j: int) -> str:
    n_labels, augmentation = table.columns[j]
    return f"{show_labels(n_labels)} labels, {augmentation}"


def _leading_number(words: str) -> str:
    """Return the number that ``words`` begin with, for sorting: "-1.5" of "−1.5 ± 2 (0.3)"; "" where there is none."""
    found = re.match(r"-?\d+(\.\d+)?(e[+-]?\d+)?", words.replace("−", "-"))
    return found.group() if found else ""


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
