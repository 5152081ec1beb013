"""Error against what a network costs: multiply-adds and time of a training step; updates and seconds of a training."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes as Panel
from matplotlib.figure import Figure

from equirgz.report.figures.curves import YLABELS
from equirgz.report.figures.looks import limit_from_zero, make_looks, summarise
from equirgz.report.figures.style import GREY, add_legend, make_panels, set_log_numbers
from equirgz.report.rows.parts import Part
from equirgz.report.rows.results import Results
from equirgz.report.rows.table_axes import Axes, sort_values
from equirgz.report.tables.pareto import PLAIN, measure_costs

UPDATES, FEWEST = "steps", 3  # the axis of trainings of several lengths, and how many of them make a curve
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
    runs = _of_one_recipe(runs).dropna(subset=["multiply_adds", "error"])
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


def plot_learning(results: Results, part: Part) -> Figure | None:
    """Return the headline against the number of updates (left) and the seconds of training (right), a line per network.

    Every point is a training of its own, whose schedule ends with so many updates: the mean over seeds with its 95 %
    interval. Seconds: means over seeds, of the processor for trainings on it, else on the wall; without timings
    there is no such panel. The largest label count and first augmentation. None unless a network was trained for
    three numbers of updates or more.
    """
    series = [c for c in part.axes.names if c != UPDATES]
    if len(series) == len(part.axes.names):
        return None
    runs = measure_costs(results, part)
    runs = runs.assign(steps=pd.to_numeric(runs[UPDATES], errors="coerce"), value=runs["error"])
    runs = _of_one_recipe(runs.dropna(subset=["steps", "error"]))
    if runs.empty or runs.groupby(series, dropna=False)["steps"].nunique().max() < FEWEST:
        return None
    runs = runs.assign(seconds=runs["step_ms"] * runs["steps"] / 1000)
    words = {"steps": "updates", "seconds": "training (s)"}
    words = {column: text for column, text in words.items() if runs[column].notna().any()}
    looks = make_looks(runs, Axes(tuple(series), ()))
    figure, panels = make_panels(1, len(words), sharey=True, panel_height_in=2.0)
    for panel, (column, text) in zip(panels[0], words.items(), strict=True):
        for place, look in looks.items():
            mine = runs[(runs[series] == list(place)).all(axis=1)]
            x, y = mine.groupby("steps")[column].mean(), summarise(mine, ["steps"]).fillna({"half_width": 0})
            style = {"linestyle": look.linestyle, "label": look.name, "elinewidth": 0.8}
            panel.errorbar(x, y["mean"], y["half_width"], **look.point, **style)
        panel.set_xscale("log")
        set_log_numbers(panel.xaxis)
        panel.set_xlabel(text)
    panels[0][0].set_ylabel(part.task.headline.axis)
    limit_from_zero(panels[0], runs, part.axes)
    add_legend(figure, panels[0], [look.name for look in looks.values()])
    return figure


def _of_one_recipe(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with the largest label count and the first augmentation."""
    runs = runs[runs["n_labels"] == runs["n_labels"].max()]
    return runs[runs["augmentation"].isin(sort_values(runs["augmentation"], "augmentation")[:1])]


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
