"""One self-contained page per grid: sortable tables, an interactive figure, the drawn figures, every run.

The page needs no network and no server; without JavaScript its tables, figures and runs can still
be read. Like the tables it is a function of the results folder alone.
"""

from __future__ import annotations

import base64
import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml

from equirgz.records import write_bytes_atomic
from equirgz.report.axes import ANGLE, PAIR, find_axes, show_labels, show_value
from equirgz.report.cells import Table
from equirgz.report.load import Results, open_results
from equirgz.report.tables import make_tables, plan_runs
from equirgz.report.wording import best_text, caption, cell_text, cost_text, row_name, title
from equirgz.report.write import HEADLINES, folder_of

FILE_NAME = "index.html"
RUN_METRICS = ("error/rate", "nll/mean", "calibration/ece")


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
    tables = sorted(make_tables(results), key=_rank)
    cells = _Cells(results)
    views = [_view_table(table, cells) for table in tables]
    first = [view for view, table in zip(views, tables, strict=True) if folder_of(table) == "tables"]
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
        figures=_figures(results.folder),
        cells=cells.views(),
        absent=cells.absent(),
        provenance=json.dumps(plan.get("provenance", {}), indent=1, sort_keys=True),
        document=yaml.safe_dump(plan.get("document", {}), sort_keys=False, allow_unicode=True),
        charts=[chart for chart in map(_chart, tables) if chart],
    )


def _rank(table: Table) -> tuple:
    """Return a sort key: headline metrics in their order, the test split first, the network first."""
    key = table.key
    place = HEADLINES.index(key.metric) if key.metric in HEADLINES else len(HEADLINES)
    return (place, key.split != "test", key.split, key.readout != "network", key.readout, key.data)


class _Cells:
    """The runs behind each place of a table, and what is known of them."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.runs = {run["run_key"]: run for run in results.plan.get("runs", ())}
        self._keys = dict(
            results.rows[["run_key", "cell_key"]].drop_duplicates().itertuples(index=False, name=None)
        )
        self._keys |= {key: run["cell_key"] for key, run in self.runs.items() if "cell_key" in run}
        self._places: dict[str, dict[tuple, str]] = defaultdict(dict)
        self.status: dict[str, str] = {}
        self._n_names: dict[str, int] = {}
        for data, rows in results.rows.groupby("data", sort=True):
            axes = find_axes(rows)
            self._n_names[str(data)] = len(axes.names)
            planned = plan_runs(results, rows, str(data), axes)
            for line in planned.to_dict("records"):
                self.status[line["run_key"]] = line["status"]
                place = (
                    *(str(line[c]) for c in axes.names),
                    show_labels(line["n_labels"]),
                    line["augmentation"],
                )
                self._places[str(data)][place] = self._keys.get(line["run_key"], "")

    def link(self, table: Table, i: int, j: int) -> str:
        """Return the cell_key behind one place of a table, "" where no run is known."""
        data = table.key.data
        names = [str(value) for value in table.labels.iloc[i]][: self._n_names[data]]
        n_labels, augmentation = table.columns[j]
        return self._places[data].get(
            (*names, show_labels(math.nan if n_labels is None else n_labels), augmentation), ""
        )

    def views(self) -> list[dict[str, Any]]:
        """Return what the page shows of every cell of the grid: labels, configuration, runs."""
        rows, timings = self.results.rows, self.results.timings
        values = rows[rows["metric"].isin(RUN_METRICS) & (rows["split"] == "test") & rows["angle_deg"].isna()]
        values = values.sort_values("readout", key=lambda column: column != "network").drop_duplicates(
            ["run_key", "metric"]
        )
        measured = values.pivot(index="run_key", columns="metric", values="value")
        spent = timings.drop_duplicates(["run_key", "metric"]).pivot(
            index="run_key", columns="metric", values="value"
        )
        known = rows.drop_duplicates("run_key").set_index("run_key")
        members: dict[str, list[str]] = defaultdict(list)
        for run_key, cell_key in self._keys.items():
            members[cell_key].append(run_key)
        configs = self.results.plan.get("configs", {})
        return [
            {
                "key": cell_key,
                "name": self._describe(run_keys[0], known),
                "config": yaml.safe_dump(configs[cell_key], sort_keys=False) if cell_key in configs else "",
                "runs": [
                    self._view_run(key, known, measured, spent)
                    for key in sorted(run_keys, key=self._seed(known))
                ],
            }
            for cell_key, run_keys in members.items()
        ]

    def absent(self) -> list[dict[str, str]]:
        """Return every run of the plan that gave no numbers: its labels, failed or missing, and its error."""
        return [
            {
                "key": key,
                "name": ", ".join(f"{c} {show_value(v)}" for c, v in (run.get("labels") or {}).items()),
                "status": self.status.get(key, "missing"),
                "error": self.results.failed.get(key, ""),
            }
            for key, run in self.runs.items()
            if self.status.get(key, "missing") != "done"
        ]

    def _describe(self, run_key: str, known: pd.DataFrame) -> str:
        if run_key in self.runs:
            labels = self.runs[run_key].get("labels") or {}
            parts = [f"{key} {show_value(v)}" for key, v in labels.items() if key not in (*PAIR, "replicate")]
            return ", ".join(parts) or "the one cell"
        row = known.loc[run_key]
        return (
            f"{row['backbone']} {row['group']}, {show_labels(row['n_labels'])} labels, {row['augmentation']}"
        )

    @staticmethod
    def _seed(known: pd.DataFrame) -> Any:
        return lambda key: (float(known.loc[key, "seed"]) if key in known.index else math.inf, key)

    def _view_run(
        self, key: str, known: pd.DataFrame, measured: pd.DataFrame, spent: pd.DataFrame
    ) -> dict[str, Any]:
        numbers = {m: measured.loc[key, m] for m in measured if key in measured.index}
        times = {m: spent.loc[key, m] for m in spent if key in spent.index}
        labels = (self.runs.get(key) or {}).get("labels") or {}
        seeds = [
            known.loc[key, c] if key in known.index else labels.get(c, labels.get("replicate")) for c in PAIR
        ]
        return {
            "key": key,
            "seeds": [show_value(seed) for seed in seeds],
            "status": self.status.get(key, "missing"),
            "numbers": [_number(numbers.get(metric)) for metric in RUN_METRICS],
            "seconds": _number(times.get("train/seconds")),
            "memory": _number(times["memory/peak"] / 1e6) if "memory/peak" in times else "–",
        }


def _column_title(table: Table, j: int) -> str:
    n_labels, augmentation = table.columns[j]
    return f"{show_labels(math.nan if n_labels is None else n_labels)} labels, {augmentation}"


def _view_table(table: Table, cells: _Cells) -> dict[str, Any]:
    columns = range(len(table.columns))
    rows = []
    for i in range(len(table.labels)):
        views = []
        for j in columns:
            cell, text = table.cells[i, j], cell_text(table, i, j)
            mean = None if math.isnan(cell.mean) else cell.mean
            views.append(
                {"text": text.words, "bold": text.bold, "sort": mean, "link": cells.link(table, i, j)}
            )
        costs = [
            {"text": cost_text(values[i]), "sort": _finite(values[i])} for values in table.costs.values()
        ]
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
        "best": [best_text(table, j) for j in columns] if table.best else [],
        "caption": ". ".join(caption(table)) + ".",
    }


def _chart(table: Table) -> dict[str, Any] | None:
    """Return the means of one headline table as series over the label count, or over the rows where it is one."""
    if table.key.metric not in HEADLINES or folder_of(table) != "tables" or ANGLE in table.labels:
        return None
    counts = sorted({n for n, _ in table.columns if n is not None})
    by_labels = len(counts) > 1
    series: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for i in range(len(table.labels)):
        for j, (n_labels, augmentation) in enumerate(table.columns):
            cell = table.cells[i, j]
            if cell.status != "done":
                continue
            place = n_labels if by_labels else row_name(table, i)
            name = f"{row_name(table, i)}, {augmentation}" if by_labels else _column_title(table, j)
            half = _finite(cell.half_width)
            series[name].append({"x": place, "y": cell.mean, "half": half, "n": cell.n_seeds})
    if not series:
        return None
    key = table.key
    return {
        "title": f"{title(table)} – {key.data}, {key.split}, {key.readout}",
        "unit": "" if table.unit == "1" else table.unit,
        "x": "labelled sources" if by_labels else "",
        "categories": None if by_labels else [row_name(table, i) for i in range(len(table.labels))],
        "series": [{"name": name, "points": points} for name, points in series.items()],
    }


def _facts(results: Results, cells: _Cells) -> list[tuple[str, str]]:
    counts = pd.Series(list(cells.status.values())).value_counts()
    runs = ", ".join(
        f"{counts[status]} {status}" for status in ("done", "failed", "missing") if status in counts
    )
    versions = ", ".join(sorted(set(results.rows["version"])))
    data = "; ".join(
        f"{name} ({', '.join(sorted(set(rows['data_checksum'])))})"
        for name, rows in results.rows.groupby("data")
    )
    return [("runs", runs), ("code", f"equirgz {versions}"), ("data", data)]


def _figures(folder: Path) -> list[dict[str, str]]:
    """Return the drawn figures as data addresses, so that the page stands alone."""
    found = []
    for path in sorted((folder / "figures").glob("*.svg")):
        encoded = base64.b64encode(path.read_bytes()).decode()
        found.append({"name": path.stem.replace("_", " "), "source": f"data:image/svg+xml;base64,{encoded}"})
    return found


def _number(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.4g}"


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
