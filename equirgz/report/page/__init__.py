"""One self-contained page per grid: sortable tables, an interactive figure, the drawn figures, every run.

The page needs no network and no server; without JavaScript its tables, figures and runs can still
be read. Like the tables it is a function of the results folder alone.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import jinja2
import pandas as pd
import yaml
from PIL import Image

from equirgz.records import write_bytes_atomic
from equirgz.report.figures.style import COLUMN_IN, PAGE_IN
from equirgz.report.page.runs import Cells
from equirgz.report.page.table_words import make_chart, view_sheet, view_table
from equirgz.report.rows.results import Results, open_results
from equirgz.report.tables.all_tables import list_tables
from equirgz.report.tables.cells import Table
from equirgz.report.tables.statistics import make_statistics
from equirgz.report.tables.write import folder_of, shown_first

FILE_NAME = "index.html"


def write_page(folder: Path | str | Results) -> Path:
    """Write index.html of a results folder and return its path.

    Raises: ResultsError where the rows cannot be read, or mix versions or data within one table.
    """
    results = open_results(folder)
    path = results.folder / FILE_NAME
    write_bytes_atomic(path, make_page(results).encode())
    return path


def make_page(results: Results) -> str:
    """Return the page as text."""
    tables = sorted(list_tables(results), key=_rank)
    cells = Cells(results)
    views = [view_table(table, cells) for table in tables]
    first = [view for view, table in zip(views, tables, strict=True) if folder_of(table.key, table.task) == "tables"]
    more = [view for view in views if view not in first]
    plan = results.plan
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("page.html").render(
        name=results.name,
        question=plan.get("question", ""),
        facts=_facts(results, cells),
        first=first,
        more=more,
        comparisons=[view_sheet(found) for found in make_statistics(results, without=("intervals",))],
        figures=_figures(results.folder),
        cells=cells.views(),
        metrics=cells.metric_words(),
        absent=cells.absent(),
        provenance=json.dumps(plan.get("provenance", {}), indent=1, sort_keys=True),
        document=yaml.safe_dump(plan.get("document", {}), sort_keys=False, allow_unicode=True),
        charts=[chart for chart in map(make_chart, tables) if chart],
    )


def _rank(table: Table) -> tuple:
    """Return a sort key: headline metrics in their order, the test split first, the network first."""
    key = table.key
    first = shown_first(table.task)
    place = first.index(key.metric) if key.metric in first else len(first)
    return (place, key.split != "test", key.split, key.readout != "network", key.readout, key.data)


def _facts(results: Results, cells: Cells) -> list[tuple[str, str]]:
    counts = pd.Series(list(cells.status.values())).value_counts()
    runs = ", ".join(f"{counts[status]} {status}" for status in ("done", "failed", "missing") if status in counts)
    versions = ", ".join(sorted(set(results.rows["version"])))
    data = "; ".join(
        f"{name} ({', '.join(sorted(set(rows['data_checksum'])))})" for name, rows in results.rows.groupby("data")
    )
    return [("runs", runs), ("code", f"equirgz {versions}"), ("data", data)]


def _figures(folder: Path) -> list[dict[str, str]]:
    """Return the drawn figures as data addresses, so that the page stands alone: svg, else png."""
    kinds = {".png": "image/png", ".svg": "image/svg+xml"}
    paths = {path.stem: path for kind in kinds for path in sorted((folder / "figures").glob(f"*{kind}"))}
    return [
        {
            "name": stem.replace("_", " "),
            "wide": _is_wide(path),
            "source": f"data:{kinds[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}",
        }
        for stem, path in sorted(paths.items())
    ]


def _is_wide(path: Path) -> bool:
    """True for figures as wide as a page: their words are too small where they shrink to a narrow screen."""
    if path.suffix == ".svg":
        found = re.search(rb'width="([\d.]+)pt"', path.read_bytes()[:2000])
        return found is not None and float(found[1]) > 72 * (COLUMN_IN + PAGE_IN) / 2
    try:
        with Image.open(path) as picture:
            return picture.width > 220 * (COLUMN_IN + PAGE_IN) / 2
    except OSError:
        return False
