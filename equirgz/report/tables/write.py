"""Writing the tables of a results folder, and the one table for the terminal."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from equirgz.errors import ResultsError, check_choice
from equirgz.records import write_bytes_atomic
from equirgz.report.rows.results import Results, open_results
from equirgz.report.tables.all_tables import find_table, make_tables
from equirgz.report.tables.cells import Table
from equirgz.report.tables.extras import EXTRAS
from equirgz.report.tables.formats import to_csv, to_latex, to_markdown, to_text
from equirgz.report.tables.sheet import sheet_to_latex, sheet_to_markdown, sheet_to_text
from equirgz.report.tables.statistics import STATISTICS, Statistic, find_statistic, make_statistics

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
    report section of the grid asks for them (`extras`). The bytes are a function of the rows, predictions.csv.gz,
    timings.csv and grid.json alone. Tables of an earlier call that these no longer give are removed.
    Raises: ResultsError where the rows cannot be read, or mix versions or data within one table;
    nothing is written then.
    """
    results = open_results(folder)
    contents = make_table_files(results)
    if not contents:
        raise ResultsError(f"{results.folder}: expected rows of a test or validation split, got none")
    for name, content in contents.items():
        write_bytes_atomic(results.folder / name, content)
    _remove_old(results.folder, set(contents))
    return sorted(results.folder / name for name in contents)


def make_table_files(results: Results, wanted: Collection[str] | None = None) -> dict[str, bytes]:
    """Return the files of :func:`write_tables` as {"tables/error_rate_test_network.csv": content}, writing nothing.

    Args: wanted: names to make alone (which is faster); None for all there are.
    """
    tables = list(make_tables(results))
    many = len({table.key.data for table in tables}) > 1
    contents: dict[str, bytes] = {}
    for table in tables:
        for suffix, to_format in FORMATS.items():
            name = f"{folder_of(table)}/{table_name(table, many)}.{suffix}"
            if wanted is None or name in wanted:
                contents[name] = to_format(table).encode()
    stems = None if wanted is None else {Path(name).stem for name in wanted}
    for found in make_statistics(results, only=stems):
        contents |= {f"tables/{found.name}.{suffix}": text.encode() for suffix, text in _formats(found).items()}
    return {name: content for name, content in contents.items() if wanted is None or name in wanted}


def _formats(found: Statistic) -> dict[str, str]:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(found.lines)
    return {"csv": text.getvalue(), "md": sheet_to_markdown(found.sheet), "tex": sheet_to_latex(found.sheet)}


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
    *,
    data: str | None = None,
    style: str = "text",
) -> str:
    """Return one table of a results folder (or of rows from `load_results`) as text.

    Args: metric: such as "error/rate", or comparison, intervals, scaling or an extra of the grid. readout: None is
    the network where there is one. data: None is the first data set. style: text (for a terminal), md, tex or csv.
    Raises: ResultsError where there is no such table, or its rows mix versions or data; InputError for another style.
    """
    check_choice("style of a table", style, ("text", *FORMATS))
    if isinstance(folder, pd.DataFrame) and "fold" in folder and (folder["fold"] != "").any():
        raise ResultsError("rows of folds: expected their results folder, got a table; give the path of the folder")
    results = Results(Path("."), folder, {"name": "rows"}) if isinstance(folder, pd.DataFrame) else open_results(folder)
    if metric in (*STATISTICS, *EXTRAS):
        found = find_statistic(results, metric, split, readout, data)
        return {**_formats(found), "text": sheet_to_text(found.sheet)}[style]
    return {**FORMATS, "text": to_text}[style](find_table(results, metric, split, readout, data))
