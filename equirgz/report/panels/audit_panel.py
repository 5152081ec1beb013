"""The audit as a figure: error against angle, and error against layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from matplotlib.figure import Figure

_FLOOR = 1e-17
_STYLE = {"float32": "o", "float64": "s", "deployed": "^"}


class Audited(Protocol):
    """What is drawn of a report of :func:`equirgz.evaluate.audit.audit`."""

    name: str
    group: str
    image_size: int
    rows: Sequence[Any]

    def worst(self, **conditions: Any) -> float | None: ...


def plot_audit(report: Audited) -> Figure:
    """Return a matplotlib Figure of two panels (two-column width, 7 inches).

    Left: error of the features against angle, elements with a flip as open symbols. Right: worst
    lattice error of each layer. Colours are states, symbols precisions; the dashed lines are the
    limits of a claimed exact symmetry. Errors of exactly 0 are drawn at 1e-17.
    """
    figure = Figure(figsize=(7.0, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [3, 2]})
    states = list(dict.fromkeys(row.state for row in report.rows))
    colour = {state: f"C{i}" for i, state in enumerate(states)}
    layers = [w for w in dict.fromkeys(row.what for row in report.rows) if w != "features against native"]
    layers = [w for w in layers if w != "features"] + ["features"]
    for row in report.rows:
        if row.what == "features":
            face = "none" if row.reflect else colour[row.state]
            left.plot(
                row.angle_deg,
                max(row.relative_l2, _FLOOR),
                _STYLE[row.precision],
                color=colour[row.state],
                markerfacecolor=face,
                markersize=4,
            )
    precisions = list(dict.fromkeys(row.precision for row in report.rows))
    for state in states:
        for precision in precisions:
            worst = [report.worst(state=state, precision=precision, what=w, kind="lattice") for w in layers]
            points = [(i, max(v, _FLOOR)) for i, v in enumerate(worst) if v is not None]
            if points:
                index, error = zip(*points, strict=True)
                right.plot(index, error, _STYLE[precision] + "-", color=colour[state], lw=0.6, ms=4)
    for axis in (left, right):
        axis.set_yscale("log")
        for limit in sorted({row.limit for row in report.rows} - {None}):
            axis.axhline(limit, color="0.6", linestyle="--", linewidth=0.8)
    left.set_xticks(range(0, 361, 45))
    left.set_xlabel("angle [deg]")
    left.set_ylabel("relative error of the features")
    left.set_title(f"{report.name}, {report.group}, {report.image_size} px", fontsize="medium")
    for state in states:
        left.plot([], [], "-", color=colour[state], label=state)
    for precision in precisions:
        left.plot([], [], _STYLE[precision], color="0.3", markersize=4, label=precision)
    figure.legend(fontsize="small", ncols=len(states) + len(precisions), loc="outside lower center")
    right.set_xticks(range(len(layers)), [w.split(":")[0] for w in layers], rotation=45, ha="right", fontsize="small")
    right.set_ylabel("worst error on the lattice")
    return figure
