"""What the page shows of every cell of a grid: its configuration and its runs, finished or not."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import pandas as pd
import yaml

from equirgz.report.rows.results import Results
from equirgz.report.rows.table_axes import PAIR, find_axes, show_labels, show_value
from equirgz.report.tables.all_tables import plan_runs
from equirgz.report.tables.cells import Table


class Cells:
    """The runs behind each place of a table, and what is known of them."""

    def __init__(self, results: Results) -> None:
        self.results, self.metrics = results, results.task.shown
        self.runs = {run["run_key"]: run for run in results.plan.get("runs", ())}
        self._keys = dict(results.rows[["run_key", "cell_key"]].drop_duplicates().itertuples(index=False, name=None))
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

    def metric_words(self) -> list[str]:
        """Return the metrics of a run that are shown, with their units."""
        units = self.results.rows.drop_duplicates("metric").set_index("metric")["unit"].to_dict()
        return [metric if units.get(metric, "1") == "1" else f"{metric} ({units[metric]})" for metric in self.metrics]

    def link(self, table: Table, i: int, j: int) -> str:
        """Return the cell_key behind one place of a table, "" where no run is known."""
        data = table.key.data
        names = [str(value) for value in table.labels.iloc[i]][: self._n_names[data]]
        n_labels, augmentation = table.columns[j]
        return self._places[data].get((*names, show_labels(n_labels), augmentation), "")

    def views(self) -> list[dict[str, Any]]:
        """Return what the page shows of every cell of the grid: labels, configuration, runs."""
        rows, timings = self.results.rows, self.results.timings
        values = rows[rows["metric"].isin(self.metrics) & (rows["split"] == "test") & rows["angle_deg"].isna()]
        values = values.sort_values("readout", key=lambda column: column != "network").drop_duplicates(
            ["run_key", "metric"]
        )
        measured = values.pivot(index="run_key", columns="metric", values="value")
        spent = timings.drop_duplicates(["run_key", "metric"]).pivot(index="run_key", columns="metric", values="value")
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
                    self._view_run(key, known, measured, spent) for key in sorted(run_keys, key=self._seed(known))
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
        return f"{row['backbone']} {row['group']}, {show_labels(row['n_labels'])} labels, {row['augmentation']}"

    @staticmethod
    def _seed(known: pd.DataFrame) -> Any:
        return lambda key: (float(known.loc[key, "seed"]) if key in known.index else math.inf, key)

    def _view_run(self, key: str, known: pd.DataFrame, measured: pd.DataFrame, spent: pd.DataFrame) -> dict[str, Any]:
        numbers = {m: measured.loc[key, m] for m in measured if key in measured.index}
        times = {m: spent.loc[key, m] for m in spent if key in spent.index}
        labels = (self.runs.get(key) or {}).get("labels") or {}
        seeds = [known.loc[key, c] if key in known.index else labels.get(c, labels.get("replicate")) for c in PAIR]
        return {
            "key": key,
            "seeds": [show_value(seed) for seed in seeds],
            "status": self.status.get(key, "missing"),
            "numbers": [_show(numbers.get(metric)) for metric in self.metrics],
            "seconds": _show(times.get("train/seconds")),
            "memory": _show(times["memory/peak"] / 1e6) if "memory/peak" in times else "–",
        }


def _show(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.4g}"
