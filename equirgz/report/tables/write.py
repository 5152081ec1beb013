"""Writing the tables of a results folder, and the one table for the terminal."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from equirgz.errors import ResultsError, check_choice
from equirgz.records import write_bytes_atomic
from equirgz.report.rows.results import Results, open_results
from equirgz.report.tables.all_tables import find_measured, find_table, list_tables, make_tables
from equirgz.report.tables.cells import Key
from equirgz.report.tables.extras import EXTRAS
from equirgz.report.tables.formats import make_lines, make_sheet
from equirgz.report.tables.sheet import print_table, sheet_to_text
from equirgz.report.tables.statistics import STATISTICS, find_statistic, make_statistics
from equirgz.tasks import Task

FORMATS = ("csv", "md", "tex")


def write_tables(folder: Path | str | Results) -> list[Path]:
    """Write every table of a results folder as csv, md and tex; return their paths.

    tables/<metric>_<split>_<readout>: the metrics of `shown_first` on test splits (all others in tables/more/);
    comparison_...: differences tested over seeds and sources; intervals_...: intervals over sources;
    scaling_...: power laws, from four label counts on; risk_coverage_..., brier_parts_..., smooth_calibration_... and
    mcnemar_... where the report section of the grid asks for them (`extras`). The bytes are a function of the rows,
    predictions.csv.gz, timings.csv and grid.json alone. Tables of an earlier call that these no longer give are
    removed.
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
    many = find_measured(results.rows)["data"].nunique() > 1
    stems = None if wanted is None else {name.rpartition(".")[0] for name in wanted}

    def name_of(key: Key) -> str:
        return f"{folder_of(key, results.task)}/{table_name(key, many)}"

    tables = list_tables(results) if stems is None else make_tables(results, lambda key: name_of(key) in stems)
    printed = {name_of(table.key): print_table(make_lines(table), make_sheet(table)) for table in tables}
    names = None if stems is None else {Path(stem).name for stem in stems}
    for found in make_statistics(results, only=names):
        printed[f"tables/{found.name}"] = print_table(found.lines, found.sheet)
    contents = {f"{stem}.{suffix}": text.encode() for stem, files in printed.items() for suffix, text in files.items()}
    return {name: content for name, content in contents.items() if wanted is None or name in wanted}


def _remove_old(folder: Path, names: set[str]) -> None:
    """Remove tables of the same families that were not written now; leave what others put beside them."""
    families = {name.split("_")[0] for name in (*(Path(name).name for name in names), *EXTRAS)}
    for old in [*(folder / "tables").glob("*.*"), *(folder / "tables" / "more").glob("*.*")]:
        ours = old.name.split("_")[0] in families and old.suffix[1:] in FORMATS
        if ours and old.relative_to(folder).as_posix() not in names:
            old.unlink()


def shown_first(task: Task) -> tuple[str, ...]:
    """Return the metrics that tables and pages show first, in order."""
    return (*task.shown, "equivariance/relative_l2", "rotation/error", "rotation/loss")


def folder_of(key: Key, task: Task) -> str:
    """Return "tables", or "tables/more" for what few readers ask for first."""
    first = key.metric in shown_first(task) and key.split.startswith("test")
    return "tables" if first else "tables/more"


def table_name(key: Key, with_data: bool = False) -> str:
    """Return the file name of a table without suffix: error_rate_test_network."""
    parts = [key.metric, key.split, key.readout, *([key.data] if with_data else [])]
    parts += [f"{key.angle_deg:g}deg"] if not math.isnan(key.angle_deg) else []
    parts += [f"{c}_{v}" for c, v in key.details if c != "mean over angles"]
    return "_".join(re.sub(r"[^\w.+-]+", "_", part) for part in parts if part)


def format_table(
    folder: Path | str | Results | pd.DataFrame,
    metric: str | None = None,
    split: str = "test",
    readout: str | None = None,
    *,
    data: str | None = None,
    style: str = "text",
) -> str:
    """Return one table of a results folder (or of rows from `load_results`) as text.

    Args: metric: such as "nll/mean", or comparison, intervals, scaling or an extra; None is the headline of
    the task. readout: None is
    the network where there is one. data: None is the first data set. style: text (for a terminal), md, tex or csv.
    Raises: ResultsError where there is no such table, or its rows mix versions or data; InputError for another style.
    """
    check_choice("style of a table", style, ("text", *FORMATS))
    if isinstance(folder, pd.DataFrame) and "fold" in folder and (folder["fold"] != "").any():
        raise ResultsError("rows of folds: expected their results folder, got a table; give the path of the folder")
    results = Results(Path("."), folder, {"name": "rows"}) if isinstance(folder, pd.DataFrame) else open_results(folder)
    if metric in (*STATISTICS, *EXTRAS):
        found = find_statistic(results, metric, split, readout, data)
        lines, sheet = found.lines, found.sheet
    else:
        table = find_table(results, metric, split, readout, data)
        lines, sheet = make_lines(table), make_sheet(table)
    return sheet_to_text(sheet) if style == "text" else print_table(lines, sheet)[style]
