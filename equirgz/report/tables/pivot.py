"""A printed table from rows: a line per name, a column per metric, each cell a value with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from equirgz.errors import ResultsError
from equirgz.metrics.compare.crossed import CrossedTest
from equirgz.report.tables.sheet import Sheet, write_printed
from equirgz.report.tables.wording import MISSING

Row = Mapping[str, Any]


def show_number(value: float | None, digits: int = 3) -> str:
    """Return a number with ``digits`` decimals and a true minus sign; a dash for None or NaN."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def show_interval(row: Row, digits: int = 3) -> str:
    """Return "0.062 [0.041, 0.090]", or the value alone where the row has no interval."""
    value, low, high = (row.get(key) for key in ("value", "low", "high"))
    text = show_number(value, digits)
    if value is None or low is None or high is None or math.isnan(low):
        return text
    return f"{text} [{show_number(low, digits)}, {show_number(high, digits)}]"


def show_p(p: float) -> str:
    """Return a p-value with two digits, "<0.001" below that, a dash for NaN."""
    return MISSING if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.2g}"


def show_difference(test: CrossedTest, p_holm: float, digits: int = 1) -> str:
    """Return "−1.6 ± 1.3 (0.087)": a difference, its half-width and p; the difference alone without a half-width."""
    if math.isnan(test.half_width):
        return f"{test.mean:+.{digits}f}".replace("-", "−")
    return f"{test.mean:+.{digits}f} ± {test.half_width:.{digits}f} ({show_p(p_holm)})".replace("-", "−")


def make_pivot(
    rows: Sequence[Row],
    names: Sequence[str],
    metrics: Mapping[str, tuple[str, int]],
    caption: Sequence[str],
    *,
    label: str,
) -> Sheet:
    """Return a sheet with a line per combination of the columns ``names``, in the order of the rows.

    Args: rows: name columns, metric, value and, where there are any, low and high. metrics: metric ->
    (title, decimals), the columns in their order; metrics that no row has are left out.
    caption: sentences; the first is the title. Raises: ResultsError where no row fits, or one place has two.
    """
    cells: dict[tuple, dict[str, Row]] = {}
    for row in rows:
        if row["metric"] in metrics:
            place = cells.setdefault(tuple(str(row[name]) for name in names), {})
            if row["metric"] in place:
                raise ResultsError(label, expected=f"one {row['metric']} per line", got="two")
            place[row["metric"]] = row
    if not cells:
        raise ResultsError(label, expected=f"rows of {', '.join(metrics)}", got="none")
    shown = {m: how for m, how in metrics.items() if any(m in line for line in cells.values())}
    lines = [
        [*place, *(show_interval(line[m], digits) if m in line else MISSING for m, (_, digits) in shown.items())]
        for place, line in cells.items()
    ]
    header = [*names, *(title for title, _ in shown.values())]
    return Sheet(caption[0], len(names), header, [""] * len(header), lines, list(caption), label=label)


def write_sheet(stem: Path | str, sheet: Sheet, rows: Sequence[Row]) -> list[Path]:
    """Write ``stem``.md and .tex as printed and ``stem``.csv with every column of ``rows``; return the paths."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return write_printed(stem, [columns, *([_plain(row.get(column)) for column in columns] for row in rows)], sheet)


def _plain(value: Any) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.8g}" if isinstance(value, float) else value
