"""The table of distances between data sets, and how much of each is noise at this n."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from equirgz.errors import ResultsError
from equirgz.metrics.compare.paired import adjust_holm
from equirgz.report.tables.cells import LEVEL
from equirgz.report.tables.sheet import Sheet, write_printed
from equirgz.report.tables.wording import MISSING

COLUMNS = ("metric", "value", "low", "high", "noise_mean", "noise_high", "p_value", "unit", "n", "n_second")
TITLES = {"shift/frechet": "Frechet", "shift/mmd_squared": "MMD²", "shift/sinkhorn": "Sinkhorn",
          "shift/classifier_auroc": "classifier AUROC"}  # fmt: skip


def make_shift_sheet(pairs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Sheet:
    """Return the printed table of distances: a line per pair of data sets, a column per distance.

    Args: pairs: name of a pair ("FIRST, NVSS") -> rows of `equirgz.metrics.distance.feature_shift.compute_shift`.
    A cell: value, in brackets what chance alone gives at these sizes, and p of "one set" after Holm over the table.
    Raises: ResultsError where nothing is given or a row lacks a column.
    """
    rows = [(pair, row) for pair, of_pair in pairs.items() for row in of_pair]
    lacking = [column for _, row in rows for column in COLUMNS if column not in row]
    if not rows or lacking:
        raise ResultsError("shift rows", expected=f"rows with {', '.join(COLUMNS)}", got=(lacking or ["none"])[0])
    adjusted = adjust_holm([row["p_value"] for _, row in rows])
    metrics = list(dict.fromkeys(row["metric"] for _, row in rows))
    cells = {(pair, row["metric"]): (row, p) for (pair, row), p in zip(rows, adjusted, strict=True)}
    lines, bold = [], set()
    for i, pair in enumerate(pairs):
        first = pairs[pair][0]
        line = [pair, f"{first['n']}, {first['n_second']}"]
        for j, metric in enumerate(metrics):
            row, p = cells.get((pair, metric), (None, math.nan))
            line.append(MISSING if row is None else _words(row, p))
            if p < LEVEL:
                bold.add((i, j + 2))
        lines.append(line)
    caption = [
        "Distance between data sets in feature space",
        "In brackets what dealing the sources to both sets at random gives at these sizes (0.5 for the classifier)",
        f"p: that both are one set, after Holm over the table; bold where p < {LEVEL:g}",
    ]
    header = ["data", "n", *(TITLES.get(metric, metric) for metric in metrics)]
    return Sheet(caption[0], 2, header, [""] * len(header), lines, caption, bold, label="shift")


def _words(row: Mapping[str, Any], p: float) -> str:
    told = "<0.001" if p < 0.001 else f"{p:.2g}"
    return f"{row['value']:.3g} [{row['noise_mean']:.3g}] ({told})".replace("-", "−")


def write_shift_table(pairs: Mapping[str, Sequence[Mapping[str, Any]]], stem: Path | str) -> list[Path]:
    """Write ``stem``.csv (every number), .md and .tex of the shift table; return their paths."""
    lines = [["pair", *COLUMNS]]
    for pair, rows in pairs.items():
        for row in rows:
            values = (row[column] for column in COLUMNS)
            lines.append([pair, *("" if v is None else f"{v:.8g}" if isinstance(v, float) else v for v in values)])
    return write_printed(stem, lines, make_shift_sheet(pairs))
