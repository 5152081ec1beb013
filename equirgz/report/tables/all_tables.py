"""All tables of a results folder: which there are, the planned runs, cost and reported columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from equirgz.errors import ResultsError, suggest
from equirgz.report.rows.parts import Part
from equirgz.report.rows.predictions import find_predictions
from equirgz.report.rows.results import Results
from equirgz.report.rows.step_times import step_times
from equirgz.report.rows.table_axes import ANGLE, PAIR, Axes, find_axes, show_labels
from equirgz.report.tables.cells import Key, Table, make_table

MANY_ANGLES = 6  # a metric at more angles than this is tabulated as the mean over them
SKIPPED_SPLITS = ("", "train")
COSTS = {  # metric: title of its column
    "cost/parameters": "parameters",
    "cost/multiply_adds": "MACs",
    "cost/activation_bytes": "activations (B)",
    "train/step_ms": "step (ms)",
}


def list_tables(results: Results) -> list[Table]:
    """Return every table of a results folder, made once."""
    return results.recall(_make_all)


def _make_all(results: Results) -> list[Table]:
    return list(make_tables(results))


def make_tables(results: Results, wanted: Callable[[Key], bool] = lambda key: True) -> Iterator[Table]:
    """Yield the table of every ``wanted`` (data, split, readout, metric, angle, detail) in a fixed order."""
    steps = step_times(results)
    for data, of_data in results.rows.groupby("data", sort=True):
        axes = find_axes(of_data)
        planned = plan_runs(results, of_data, str(data), axes)
        costs = _row_costs(of_data, steps, axes)
        measured = find_measured(of_data)
        keys = ["split", "readout", "metric"]
        for (split, readout, metric), rows in measured.groupby(keys, sort=True):
            for angle, details, part, part_axes in _separate(rows, axes):
                key = Key(str(data), split, readout, metric, angle, details)
                if not wanted(key):
                    continue
                plan = _at_angles(planned, part) if ANGLE in part_axes.names else planned
                pooled = {}
                if metric == results.task.headline.metric and not details and np.isnan(angle):
                    whole = Part(part, part_axes, "", str(data), split, readout, task=results.task)
                    pooled = find_predictions(results, whole)
                table = make_table(key, part, plan, part_axes, _perfect(measured, key), pooled, results.task)
                yield _add_context(table, costs, results)


def find_measured(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that tables are made of: measured on sources, and not while training."""
    return rows[~rows["metric"].str.startswith("cost/") & ~rows["split"].isin(SKIPPED_SPLITS)]


def find_table(
    results: Results,
    metric: str | None = None,
    split: str = "test",
    readout: str | None = None,
    data: str | None = None,
) -> Table:
    """Return one table; without ``metric`` that of the task's headline, without ``data`` that of the first.

    Without ``readout`` it is that of the network where there is one.

    Raises: ResultsError where there is none, with what there is.
    """
    metric = results.task.headline.metric if metric is None else metric
    made = results.recalled(_make_all)
    tables = [t for t in made or () if t.key.metric == metric and t.key.split == split]
    if made is None:
        tables = list(make_tables(results, lambda key: key.metric == metric and key.split == split))
    tables.sort(key=lambda t: (t.key.readout != "network", t.key.data))
    chosen = [t for t in tables if readout in (None, t.key.readout) and data in (None, t.key.data)]
    if not chosen:
        known = sorted(set(results.rows["metric"]))
        raise ResultsError(
            f"{results.folder}",
            expected=f"rows of {metric} on {split} ({readout or 'any readout'}{f', {data}' if data else ''})",
            got="none",
            mend=suggest(metric, known) if metric not in known else show_choices(results.rows, metric),
        )
    return chosen[0]


def show_choices(rows: pd.DataFrame, metric: str) -> str:
    """Return where there are rows of a metric: its splits, read-outs and data sets."""
    rows = rows[rows["metric"] == metric]
    told = {"split": rows["split"], "readout": rows["readout"], "data": rows["data"]}
    return "there are " + "; ".join(f"{name} {', '.join(sorted(set(values)))}" for name, values in told.items())


def plan_runs(results: Results, rows: pd.DataFrame, data: str, axes: Axes) -> pd.DataFrame:
    """Return every planned run on ``data`` (run_key, status, naming columns, n_labels, augmentation, seeds).

    A run that has no rows is placed by its axis labels; what they do not say is taken from finished
    runs that share them, or is the one value that all runs have.
    """
    columns = ["run_key", *axes.names, "n_labels", "augmentation", *PAIR]
    done = rows[columns].drop_duplicates("run_key").assign(status="done")
    known, failed = set(done["run_key"]), results.failed
    plan = results.plan.get("runs", [])
    seen = _learn_labels(plan, done, columns[1:-2])
    lost = []
    for run in plan:
        labels = dict(run.get("labels") or {})
        if run["run_key"] in known or str(labels.get("data", data)) != data:
            continue
        place = _place(labels, done, columns[1:-2], seen)
        if place is not None:
            status = "failed" if run["run_key"] in failed else "missing"
            lost.append({"run_key": run["run_key"], "status": status, **place})
    return pd.concat([done, pd.DataFrame(lost, columns=[*columns, "status"]).astype(done.dtypes)], ignore_index=True)


def _place(labels: dict[str, Any], done: pd.DataFrame, columns: list[str], seen: dict) -> dict[str, Any] | None:
    """Return the value of each column for a run known by its axis labels, None where it cannot be told."""
    place: dict[str, Any] = {}
    for column in columns:
        values = done[column].drop_duplicates()
        if column in labels and (column, labels[column]) in seen:
            place[column] = seen[column, labels[column]]
        elif column in labels:
            label = labels[column]
            place[column] = (np.nan if label is None else float(label)) if column == "n_labels" else str(label)
        elif len(values) == 1:
            place[column] = values.iloc[0]
        else:
            told = {seen[c, column, v] for c, v in labels.items() if (c, column, v) in seen}
            if len(told) != 1:
                return None
            place[column] = told.pop()
    return place


def _learn_labels(plan: list[dict], done: pd.DataFrame, columns: list[str]) -> dict:
    """Return what finished runs say of axis labels.

    {(column, label): value} where a label of a column stands for one value (no n_labels: all 729),
    {(axis, column, label): value} where a label of another axis settles a column (model "small": lenet).
    """
    values: dict[tuple, set] = {}
    rows = done.set_index("run_key")[columns].to_dict("index")
    for run in plan:
        for axis, label in (run.get("labels") or {}).items():
            for column, value in rows.get(run["run_key"], {}).items():
                key = (axis, label) if axis == column else (axis, column, label)
                values.setdefault(key, set()).add(value)
    return {key: found.pop() for key, found in values.items() if len(found) == 1}


def _separate(rows: pd.DataFrame, axes: Axes) -> Iterator[tuple[float, tuple, pd.DataFrame, Axes]]:
    """Yield (angle, details, rows, axes) for each table of one metric.

    A few angles name the rows of one table, many become their mean.
    """
    for values, part in rows.groupby(list(axes.details), dropna=False) if axes.details else [((), rows)]:
        details = tuple((c, v) for c, v in zip(axes.details, values, strict=True) if v != "")
        angles = sorted(part["angle_deg"].dropna().unique())
        plain = part[part["angle_deg"].isna()]
        if len(plain):
            yield np.nan, details, plain, axes
        turned = part[part["angle_deg"].notna()]
        if len(angles) > MANY_ANGLES:
            mean = turned.groupby("run_key")["value"].mean()
            turned = turned.drop_duplicates("run_key")
            turned = turned.assign(value=turned["run_key"].map(mean))
            yield np.nan, (*details, ("mean over angles", str(len(angles)))), turned, axes
        elif len(angles) > 1:
            yield np.nan, details, turned, replace(axes, names=(*axes.names, ANGLE))
        elif angles:
            yield float(angles[0]), details, turned, axes


def _at_angles(planned: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the planned runs once per angle that was measured."""
    return planned.merge(rows[[ANGLE]].drop_duplicates(), how="cross")


def _perfect(rows: pd.DataFrame, key: Key) -> pd.DataFrame:
    """Return the ECE of a perfect model for the runs of an ECE table, no rows for any other."""
    wanted = key.metric == "calibration/ece" and np.isnan(key.angle_deg)
    chosen = (rows["metric"] == "calibration/ece_perfect") & (rows["split"] == key.split)
    return rows[chosen & (rows["readout"] == key.readout) & wanted]


def _row_costs(rows: pd.DataFrame, timings: pd.DataFrame, axes: Axes) -> dict[str, dict[tuple, float]]:
    """Return, per cost column, the mean over the runs of each table row, by its naming values."""
    runs = rows[["run_key", *axes.names]].drop_duplicates("run_key")
    costs = rows[rows["metric"].str.startswith("cost/")]
    entries = pd.concat([costs[["run_key", "metric", "value"]], timings[["run_key", "metric", "value"]]])
    found: dict[str, dict[tuple, float]] = {}
    for metric, title in COSTS.items():
        values = entries[entries["metric"] == metric].merge(runs, on="run_key")
        if len(values) and title not in found:
            means = values.groupby(list(axes.names), dropna=False)["value"].mean()
            found[title] = {place: float(mean) for place, mean in means.items()}
    return found


def _add_context(table: Table, costs: dict[str, dict[tuple, float]], results: Results) -> Table:
    names = list(table.labels.itertuples(index=False, name=None))
    for title, of_row in costs.items():
        place = next(iter(of_row))  # naming values, without the angle that may follow them
        table.costs[title] = [of_row.get(name[: len(place)], np.nan) for name in names]
    table.reported.extend(_reported(table, results.options.get("reported") or []))
    return table


def _reported(table: Table, entries: list[dict[str, Any]]) -> list[str]:
    """Return the published numbers of each row, [] where no entry speaks of this table."""
    key = table.key
    scope = {"data": key.data, "split": key.split, "metric": key.metric, "readout": key.readout}
    default = {"split": "test", "metric": table.task.headline.metric}
    entries = [e for e in entries if all({**default, **e}.get(c, v) == v for c, v in scope.items())]
    lines = []
    for _, label in table.labels.iterrows():
        mine = [e for e in entries if all(str(e[c]) == str(label[c]) for c in table.labels.columns if c in e)]
        lines.append("; ".join(_show_reported(e) for e in mine))
    return lines if any(lines) else []


def _show_reported(entry: dict[str, Any]) -> str:
    place = [f"{show_labels(entry['n_labels'])} labels"] if "n_labels" in entry else []
    place += [str(entry[c]) for c in ("augmentation", "source") if c in entry]
    return f"{entry['value']} ({', '.join(place)})" if place else str(entry["value"])
