"""Error and NLL against what a network costs: multiply-adds and the time of a training step."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes as Panel
from matplotlib.figure import Figure

from equirgz.report.figures.curves import YLABELS
from equirgz.report.figures.looks import make_looks
from equirgz.report.figures.style import GREY, add_legend, make_panels, set_log_numbers
from equirgz.report.rows.parts import Part
from equirgz.report.rows.results import Results
from equirgz.report.rows.table_axes import Axes, sort_values
from equirgz.report.tables.pareto import PLAIN, measure_costs

BUDGET = "match"  # the axis along which a network grows: its points are one series
COSTS = {"multiply_adds": (1e-6, "multiply-adds per image (million)"), "step_ms": (1.0, "training step (ms)")}


def plot_pareto(results: Results, part: Part) -> Figure | None:
    """Return error (above) and NLL (below) against multiply-adds (left) and time of a step (right).

    A marker per network and size is the mean over its seeds, small dots are the seeds; the sizes of a network are
    joined. Stairs run along the networks that no other of their kind beats in both error and cost: dotted the plain
    ones (C1), full the steerable ones. The largest label count and first augmentation. None without two networks
    whose cost and error are known.
    """
    runs = measure_costs(results, part)
    if runs.empty:
        return None
    runs = runs[runs["n_labels"] == runs["n_labels"].max()]
    runs = runs[runs["augmentation"] == sort_values(runs["augmentation"], "augmentation")[0]].dropna(
        subset=["multiply_adds", "error"]
    )
    names = list(part.axes.names)
    if runs[names].drop_duplicates().shape[0] < 2:
        return None
    series = [c for c in names if c != BUDGET]
    looks = make_looks(runs, Axes(tuple(series), ()))
    costs = [c for c in COSTS if runs[c].notna().any()]
    values = {"error": part.task.headline.axis, "nll": YLABELS["nll/mean"]}
    values = {v: words for v, words in values.items() if runs[v].notna().any()}
    figure, panels = make_panels(len(values), len(costs), sharex="col", sharey="row", panel_height_in=1.9)
    means = runs.groupby(names, dropna=False)[[*values, *costs]].mean().reset_index()
    for line, (value, words) in zip(panels, values.items(), strict=True):
        for panel, cost in zip(line, costs, strict=True):
            scale = COSTS[cost][0]
            for kind, dashes in ((PLAIN, ":"), ("", "-")):
                chosen = means[(means["group"] == PLAIN) == (kind == PLAIN)].dropna(subset=[cost, value])
                _draw_front(panel, chosen[cost] * scale, chosen[value], dashes)
            for place, look in looks.items():
                mine = means[(means[series] == list(place)).all(axis=1)].sort_values(cost)
                each = runs[(runs[series] == list(place)).all(axis=1)]
                panel.plot(each[cost] * scale, each[value], ".", color=look.color, markersize=2, alpha=0.6)
                panel.plot(mine[cost] * scale, mine[value], **look.point, linewidth=0.7, label=look.name)
            panel.set_xscale("log")
            set_log_numbers(panel.xaxis)
        line[0].set_ylabel(words)
    for panel, cost in zip(panels[-1], costs, strict=True):
        panel.set_xlabel(COSTS[cost][1])
    add_legend(figure, panels[0], [look.name for look in looks.values()])
    return figure


def front(cost: pd.Series, value: pd.Series) -> list[tuple[float, float]]:
    """Return the (cost, value) of which no other has both less or as little, by rising cost.

    NaN: refused by the caller.
    """
    kept: list[tuple[float, float]] = []
    for x, y in sorted(zip(cost, value, strict=True)):
        if not kept or y < kept[-1][1]:
            kept.append((float(x), float(y)))
    return kept


def _draw_front(panel: Panel, cost: pd.Series, value: pd.Series, dashes: str) -> None:
    points = front(cost, value)
    if points:
        x, y = zip(*points, strict=True)
        right = float(cost.max())
        panel.step([*x, right], [*y, y[-1]], where="post", color=GREY, linestyle=dashes, linewidth=0.9, zorder=1)
