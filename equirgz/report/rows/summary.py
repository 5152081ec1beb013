"""What a figure shows: one part of the rows, averaged over seeds, and how each series is drawn."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes as Panel

from equirgz.metrics.interval import student_interval
from equirgz.report.figures.style import DASHES, FILLS, MARKERS, group_look, palette
from equirgz.report.rows.axes import Axes, find_axes, natural_key, show_series, show_value, sort_values

ALL_LABELS = -1.0  # stands for "all labels" where a number is needed to sort


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

    def of(self, metric: str) -> pd.DataFrame:
        """Return the rows of one metric without details (layers, reflections) whose value is defined."""
        chosen = self.rows[(self.rows["metric"] == metric) & self.rows["value"].notna()]
        for column in self.axes.details:
            if len(chosen):
                chosen = chosen[chosen[column] == chosen[column].min()]
        return chosen


def make_parts(rows: pd.DataFrame) -> list[Part]:
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
            parts.append(Part(part, axes, suffix, str(data), split, readout, several))
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


def limit_from_zero(panels: list[Panel], rows: pd.DataFrame, axes: Axes, *, axis: str = "y") -> None:
    """Start the axes of values at zero and end them where means are still told apart, however wide their intervals."""
    means = rows.groupby([*axes.names, "n_labels", "augmentation"], dropna=False)["value"].mean()
    highest = float(means.max()) if means.max() > 0 else 0.5
    top = max(1.1 * highest, min(2.2 * highest, max(getattr(panel, f"get_{axis}lim")()[1] for panel in panels)))
    for panel in panels:
        panel.set(**{f"{axis}lim": (0, top)})


def summarise(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return mean, half_width (NaN for one run) and n_seeds of the values of each combination of ``by``."""
    lines = []
    for values, group in rows.groupby(by, dropna=False, sort=True):
        interval = student_interval(group["value"].to_numpy())
        lines.append((*values, interval.mean, interval.half_width, interval.n))
    return pd.DataFrame(lines, columns=[*by, "mean", "half_width", "n_seeds"])


def group_order(group: str) -> int:
    """Return |G| of "C8" (8) or "D8" (16); 0 where the name is of neither kind."""
    match = re.fullmatch(r"([CD])(\d+)", group)
    return int(match[2]) * (2 if match[1] == "D" else 1) if match else 0


@dataclass(frozen=True)
class Look:
    """Colour, marker, how far the marker is filled, and dashes of a series."""

    name: str
    color: tuple
    marker: str
    linestyle: object
    fillstyle: str = "full"

    @property
    def point(self) -> dict[str, object]:
        """Keywords of a marker for matplotlib."""
        look = {"color": self.color, "marker": self.marker, "fillstyle": self.fillstyle}
        return look if self.fillstyle in ("full", "none") else look | {"markerfacecoloralt": "white"}


def make_looks(rows: pd.DataFrame, axes: Axes) -> dict[tuple, Look]:
    """Return how each combination of the naming columns is drawn: colour and marker by group, the rest by its filling.

    A group has one colour and one marker in every figure (:func:`equirgz.report.figures.style.group_look`); what
    else names a series (backbone, method, ...) shows in dashes and in how far its markers are filled. Where only
    one group is there, colours, markers and dashes tell the rest.
    """
    series = axes.sort(rows)
    varying = [c for c in axes.names if series[c].nunique(dropna=False) > 1] or ["group"]
    several = series["group"].nunique() > 1
    rest_columns = [c for c in axes.names if c != "group"]
    rests = sorted(
        {tuple(r) for r in series[rest_columns].to_numpy().tolist()},
        key=lambda r: [natural_key(v) for v in r],
    )
    looks = {}
    for values in series.itertuples(index=False, name=None):
        label = dict(zip(axes.names, values, strict=True))
        r = rests.index(tuple(label[c] for c in rest_columns))
        if several or len(rests) == 1:
            colour, marker = group_look(label["group"])
            fill = FILLS[r % len(FILLS)]
        else:
            colour, marker, fill = palette(len(rests))[r], MARKERS[r % len(MARKERS)], "full"
        looks[values] = Look(show_series(label, varying), colour, marker, DASHES[r % len(DASHES)], fill)
    return looks


def label_counts(rows: pd.DataFrame) -> list[float]:
    """Return the label counts in rising order, ALL_LABELS (all of them) last."""
    counts = rows["n_labels"].fillna(ALL_LABELS).unique()
    return sorted(counts, key=lambda n: (n == ALL_LABELS, n))


def with_labels(rows: pd.DataFrame, n_labels: float) -> pd.DataFrame:
    """Return the rows of one label count as `label_counts` gives it."""
    return rows[rows["n_labels"].fillna(ALL_LABELS) == n_labels]


def labels_text(n_labels: float) -> str:
    """Return "50 labels" or "all labels"."""
    return "all labels" if n_labels == ALL_LABELS else f"{int(n_labels)} labels"


def is_lattice(angle_deg: float) -> bool:
    """True for multiples of 90 degrees, which turn a square pixel grid into itself."""
    return bool(np.isclose(angle_deg % 90, 0) or np.isclose(angle_deg % 90, 90))
