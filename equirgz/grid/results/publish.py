"""From finished runs to everything a reader sees: rows, tables, figures and the page of a results folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from equirgz.paths import as_path
from equirgz.grid.results.collect import collect
from equirgz.grid.results.folder import ResultsFolder
from equirgz.records import write_bytes_atomic

FOLDERS = ("tables", "figures")


@dataclass(frozen=True)
class Published:
    """Paths of what was written; ``fresh`` is False where all of it was there already."""

    tables: list[Path]
    figures: list[Path]
    page: Path
    fresh: bool = True


def publish(out: Path, *, again: bool = False) -> Published:
    """Collect the finished runs of ``out`` and write its tables, its figures and its page.

    A folder without cells/ (as results are committed) keeps its rows. Where rows and predictions
    are those of the last call nothing is written, unless ``again``.
    """
    from equirgz.report import write_figures, write_tables
    from equirgz.report.page import FILE_NAME, write_page
    from equirgz.report.rows.results import open_results

    out = as_path(out)
    marker = out / ".published"
    if (out / "cells").is_dir():
        collect(out)
    state = _fingerprint(out)
    if not again and marker.exists() and marker.read_text() == state:
        files = {name: sorted(path for path in (out / name).rglob("*") if path.is_file()) for name in FOLDERS}
        return Published(files["tables"], files["figures"], out / FILE_NAME, fresh=False)
    results = open_results(out)
    published = Published(write_tables(results), write_figures(results), write_page(results))
    write_bytes_atomic(marker, state.encode())
    return published


def _fingerprint(out: Path) -> str:
    names = ("rows.csv", "rows.csv.gz", "predictions.csv.gz", ResultsFolder(out).grid.name)
    return "".join(
        f"{name} {hashlib.sha256((out / name).read_bytes()).hexdigest()}\n" for name in names if (out / name).exists()
    )
