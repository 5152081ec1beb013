"""Writing the tables of a results folder, and the one table for the terminal."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pandas as pd

from equirgz.errors import ResultsError
from equirgz.records import write_bytes_atomic
from equirgz.report.cells import Table
from equirgz.report.formats import to_csv, to_latex, to_markdown, to_text
from equirgz.report.load import Results, open_results
from equirgz.report.tables import find_table, make_tables

HEADLINES = (
    "error/rate",
    "nll/mean",
    "calibration/brier",
    "calibration/ece",
    "equivariance/relative_l2",
    "rotation/error",
)
FORMATS = {"csv": to_csv, "md": to_markdown, "tex": to_latex}


def write_tables(folder: Path | str | Results) -> list[Path]:
    """Write tables/<metric>_<split>_<readout>[...].{csv,md,tex} of a results folder; return their paths.

    Those of `HEADLINES` on test splits lie in tables/, all others in tables/more/.

    The bytes are a function of rows.csv, timings.csv and grid.json alone.
    Raises: ResultsError where the rows cannot be read, or mix versions or data within one table;
    nothing is written then.
    """
    results = open_results(folder)
    tables = list(make_tables(results))
    many = len({table.key.data for table in tables}) > 1
    contents: dict[Path, bytes] = {}
    for table in tables:
        for suffix, to_format in FORMATS.items():
            path = results.folder / folder_of(table) / f"{table_name(table, many)}.{suffix}"
            contents[path] = to_format(table).encode()
    if not contents:
        raise ResultsError(f"{results.folder}: expected rows of a test or validation split, got none")
    for path, content in contents.items():
        write_bytes_atomic(path, content)
    return sorted(contents)


def folder_of(table: Table) -> str:
    """Return "tables", or "tables/more" for what few readers ask for first."""
    first = table.key.metric in HEADLINES and table.key.split.startswith("test")
    return "tables" if first else "tables/more"


def table_name(table: Table, with_data: bool = False) -> str:
    """Return the file name of a table without suffix: error_rate_test_network."""
    key = table.key
    parts = [key.metric, key.split, key.readout, *([key.data] if with_data else [])]
    parts += [f"{key.angle_deg:g}deg"] if not math.isnan(key.angle_deg) else []
    parts += [f"{c}_{v}" for c, v in key.details if c != "mean over angles"]
    return "_".join(re.sub(r"[^\w.+-]+", "_", part) for part in parts if part)


def format_table(
    folder: Path | str | Results | pd.DataFrame,
    metric: str = "error/rate",
    split: str = "test",
    readout: str | None = None,
) -> str:
    """Return one table of a results folder (or of rows from `load_results`) for the terminal.

    Raises: ResultsError where there is no such table, or its rows mix versions or data.
    """
    results = (
        Results(Path("."), folder, {"name": "rows"})
        if isinstance(folder, pd.DataFrame)
        else open_results(folder)
    )
    return to_text(find_table(results, metric, split, readout))
