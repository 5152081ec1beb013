"""What the figures of a part share: how each series is drawn, means over seeds, and the range of an axis of values."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes as Panel

from equirgz.metrics.interval import student_interval
from equirgz.report.figures.style import DASHES, FILLS, MARKERS, group_look, palette
from equirgz.report.rows.table_axes import Axes, natural_key, show_series


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


def is_lattice(angle_deg: float) -> bool:
    """True for multiples of 90 degrees, which turn a square pixel grid into itself."""
    return bool(np.isclose(angle_deg % 90, 0) or np.isclose(angle_deg % 90, 90))
