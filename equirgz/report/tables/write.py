"""Writing the tables of a results folder, and the one table for the terminal."""

from __future__ import annotations

import csv
import io
import math
import re
from pathlib import Path

import pandas as pd

from equirgz.errors import ResultsError
from equirgz.records import write_bytes_atomic
from equirgz.report.rows.load import Results, open_results
from equirgz.report.tables.all_tables import find_table, make_tables
from equirgz.report.tables.cells import Table
from equirgz.report.tables.extras import EXTRAS
from equirgz.report.tables.formats import to_csv, to_latex, to_markdown, to_text
from equirgz.report.tables.sheet import sheet_to_latex, sheet_to_markdown
from equirgz.report.tables.statistics import make_statistics

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
    """Write every table of a results folder as csv, md and tex; return their paths.

    tables/<metric>_<split>_<readout>: the `HEADLINES` on test splits (all others in tables/more/);
    comparison_...: differences tested over seeds and sources; intervals_...: intervals over sources;
    scaling_...: power laws, from four label counts on; risk_coverage_..., brier_parts_... and mcnemar_... where the
    report section of the grid asks for them (`extras`). The bytes are a function of rows.csv, predictions.csv.gz,
    timings.csv and grid.json alone. Tables of an earlier call that these no longer give are removed.
    Raises: ResultsError where the rows cannot be read, or mix versions or data within one table;
    nothing is written then.
    """
    results = open_results(folder)
    tables = list(make_tables(results))
    many = len({table.key.data for table in tables}) > 1
    contents: dict[str, bytes] = {}
    for table in tables:
        for suffix, to_format in FORMATS.items():
            contents[f"{folder_of(table)}/{table_name(table, many)}.{suffix}"] = to_format(table).encode()
    contents |= _statistics(results)
    if not contents:
        raise ResultsError(f"{results.folder}: expected rows of a test or validation split, got none")
    for name, content in contents.items():
        write_bytes_atomic(results.folder / name, content)
    _remove_old(results.folder, set(contents))
    return sorted(results.folder / name for name in contents)


def _statistics(results: Results) -> dict[str, bytes]:
    """Return the tables of :func:`make_statistics` as {name: content}."""
    contents = {}
    for found in make_statistics(results):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(found.lines)
        contents[f"tables/{found.name}.csv"] = text.getvalue().encode()
        contents[f"tables/{found.name}.md"] = sheet_to_markdown(found.sheet).encode()
        contents[f"tables/{found.name}.tex"] = sheet_to_latex(found.sheet).encode()
    return contents


def _remove_old(folder: Path, names: set[str]) -> None:
    """Remove tables of the same families that were not written now; leave what others put beside them."""
    families = {name.split("_")[0] for name in (*(Path(name).name for name in names), *EXTRAS)}
    for old in [*(folder / "tables").glob("*.*"), *(folder / "tables" / "more").glob("*.*")]:
        ours = old.name.split("_")[0] in families and old.suffix[1:] in FORMATS
        if ours and old.relative_to(folder).as_posix() not in names:
            old.unlink()


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
    if isinstance(folder, pd.DataFrame) and "fold" in folder and (folder["fold"] != "").any():
        raise ResultsError("rows of folds: expected their results folder, got a table; give the path of the folder")
    results = (
        Results(Path("."), folder, {"name": "rows"})
        if isinstance(folder, pd.DataFrame)
        else open_results(folder)
    )
    return to_text(find_table(results, metric, split, readout))
