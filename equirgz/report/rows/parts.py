"""The parts of the rows that one figure or table is about: one data set, test split and read-out each."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pandas as pd

from equirgz.report.rows.table_axes import ALL_LABELS, Axes, find_axes, show_value, sort_label_counts, sort_values
from equirgz.tasks import Task
from equirgz.tasks.classification import CLASSES


@dataclass(frozen=True)
class Part:
    """The rows of one data set, split and read-out, with its axes and the suffix of its figures."""

    rows: pd.DataFrame
    axes: Axes
    suffix: str
    data: str
    split: str
    readout: str
    several: bool = False  # more than one data set in the folder
    task: Task = CLASSES

    @property
    def headline(self) -> pd.DataFrame:
        """Return the rows of the task's headline (see :meth:`of`)."""
        return self.of(self.task.headline.metric)

    def of(self, metric: str) -> pd.DataFrame:
        """Return the rows of one metric without details (layers, reflections) whose value is defined."""
        chosen = self.rows[(self.rows["metric"] == metric) & self.rows["value"].notna()]
        for column in self.axes.details:
            if len(chosen):
                chosen = chosen[chosen[column] == chosen[column].min()]
        return chosen


def make_parts(rows: pd.DataFrame, task: Task = CLASSES) -> list[Part]:
    """Return a Part per (data, test split, read-out); names carry only what differs from test and network."""
    parts = []
    several = rows["data"].nunique() > 1
    for data, of_data in rows.groupby("data", sort=True):
        axes = find_axes(of_data)
        tests = of_data[of_data["split"].str.startswith("test")]
        for (split, readout), part in tests.groupby(["split", "readout"], sort=True):
            words = [
                split if split != "test" else "",
                readout if readout not in ("network", "features") else "",
                data if several else "",
            ]
            suffix = "".join("_" + re.sub(r"[^\w.+-]+", "_", word) for word in words if word)
            parts.append(Part(part, axes, suffix, str(data), split, readout, several, task))
    return parts


def split_part(part: Part, max_series: int = 10) -> list[Part]:
    """Return ``part``, or where it has more series than a figure can tell apart, one part per value of an axis.

    The axis is the last naming column besides the group that varies; its value joins the suffix.
    """
    varying = [c for c in part.axes.names if c != "group" and part.rows[c].nunique(dropna=False) > 1]
    if len(part.rows[list(part.axes.names)].drop_duplicates()) <= max_series or not varying:
        return [part]
    column, parts = varying[-1], []
    for value in sort_values(part.rows[column]):
        suffix = part.suffix + "_" + re.sub(r"[^\w.+-]+", "_", f"{column}_{show_value(value)}")
        smaller = replace(part, rows=part.rows[part.rows[column] == value], suffix=suffix)
        parts += split_part(smaller, max_series)
    return parts


def label_counts(rows: pd.DataFrame) -> list[float]:
    """Return the label counts in rising order, ALL_LABELS (all of them) last."""
    return sort_label_counts(rows["n_labels"].fillna(ALL_LABELS))


def with_labels(rows: pd.DataFrame, n_labels: float) -> pd.DataFrame:
    """Return the rows of one label count as `label_counts` gives it."""
    return rows[rows["n_labels"].fillna(ALL_LABELS) == n_labels]
