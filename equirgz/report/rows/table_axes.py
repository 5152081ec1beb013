"""Which columns of the rows are axes of a comparison, in what order, and how a row is named.

n_labels and augmentation span the columns of a table; every other column that differs between runs
(backbone, group, objective, or any axis of the grid) names its rows. A column that differs inside
one run (layer, reflection) is a *detail*: it separates tables, as the angle does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from equirgz.records import ROW_COLUMNS

ALWAYS = ("backbone", "group")
NOT_AXES = {"grid", "run_key", "cell_key", "seed", "split_seed", "replicate", "fold"}
AUGMENTATIONS = ("none", "flips", "rotation", "rotation_flips", "full", "weak", "strong")
PAIR = ["seed", "split_seed"]
ANGLE = "angle_deg"
ALL_LABELS = -1.0  # stands for "all labels" where a number is needed to sort

Place = tuple[tuple, float, str]  # of a run in a table: naming values, label count (ALL_LABELS for all), augmentation


def natural_key(value: Any) -> tuple:
    """Return a sort key: numbers by size, C2 before C10, nothing last."""
    if value is None or value == "" or (isinstance(value, float) and np.isnan(value)):
        return (2,)
    if isinstance(value, int | float | np.number):
        return (0, float(value))
    parts = re.split(r"(\d+(?:\.\d+)?)", str(value))
    return (1, tuple((1, float(p), "") if i % 2 else (0, 0.0, p) for i, p in enumerate(parts)))


def sort_values(values: Any, column: str = "") -> list:
    """Return the distinct values in the order in which tables and figures show them."""
    known = {name: i for i, name in enumerate(AUGMENTATIONS)} if column == "augmentation" else {}
    distinct = pd.unique(pd.Series(list(values), dtype=object))
    return sorted(distinct, key=lambda v: (known.get(v, len(known)), natural_key(v)))


@dataclass(frozen=True)
class Axes:
    """The columns that name a row, and those that separate tables besides split, readout, metric and angle."""

    names: tuple[str, ...]
    details: tuple[str, ...]

    def label(self, row: Any) -> str:
        """Return the name of a series: "steerable_lenet D4, width=2"."""
        head = " ".join(str(row[column]) for column in ALWAYS)
        return ", ".join([head, *(f"{c}={show_value(row[c])}" for c in self.names if c not in ALWAYS)])

    def place(self, run: Any) -> Place:
        """Return where a run stands in a table; ``run`` is a mapping of columns to values."""
        n_labels = ALL_LABELS if pd.isna(run["n_labels"]) else float(run["n_labels"])
        return tuple(run[column] for column in self.names), n_labels, run["augmentation"]

    def sort(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the distinct combinations of the naming columns in the order of a table."""
        distinct = frame[list(self.names)].drop_duplicates().astype(object)
        keys = [tuple(map(natural_key, row)) for row in distinct.itertuples(index=False, name=None)]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        return distinct.iloc[order].reset_index(drop=True)


def find_axes(rows: pd.DataFrame) -> Axes:
    """Return the axes of ``rows`` (of one data set): what varies, without what the others determine."""
    extra = [c for c in rows.columns if c not in ROW_COLUMNS and c not in NOT_AXES]
    inside = rows.groupby("run_key")[extra].nunique(dropna=False) if extra else None
    details = tuple(c for c in extra if inside[c].max() > 1)
    names = list(ALWAYS)
    for column in ["objective", *(c for c in extra if c not in details)]:
        settled = rows.groupby([*names, "augmentation", "n_labels"], dropna=False)[column].nunique(dropna=False)
        if rows[column].nunique(dropna=False) > 1 and settled.max() > 1:
            names.append(column)
    return Axes(tuple(names), details)


def show_value(value: Any) -> str:
    """Return a value as text: whole numbers without a point, nothing as "default"."""
    if value is None or value == "" or (isinstance(value, float) and np.isnan(value)):
        return "default"
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value)


def show_series(label: Mapping[str, Any], columns: Iterable[str]) -> str:
    """Return the values of ``columns`` as a name: "steerable_lenet D4 width=2"."""
    plain = ("backbone", "group", "objective")
    return " ".join(show_value(label[c]) if c in plain else f"{c}={show_value(label[c])}" for c in columns)


def sort_label_counts(counts: Iterable[float]) -> list[float]:
    """Return the distinct label counts in rising order, ALL_LABELS (all of them) last."""
    return sorted(set(counts), key=lambda n: (n == ALL_LABELS, n))


def show_labels(n_labels: float | None) -> str:
    """Return a label count as text; "all" for ALL_LABELS and for no number."""
    return "all" if pd.isna(n_labels) or n_labels == ALL_LABELS else str(int(n_labels))


def labels_text(n_labels: float | None) -> str:
    """Return "50 labels" or "all labels"."""
    return f"{show_labels(n_labels)} labels"
