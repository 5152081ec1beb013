"""Error and calibration against the order of the symmetry group."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes as Panel
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from equirgz.report.figures.curves import MAX_FACETS, YLABELS, facet_title
from equirgz.report.figures.looks import group_order, limit_from_zero, summarise
from equirgz.report.figures.style import GREY, MARKERS, add_legend, make_panels, set_log_ticks, shades
from equirgz.report.rows.parts import Part, label_counts, with_labels
from equirgz.report.rows.table_axes import Axes, labels_text, show_series, sort_values

TURNED = "retrieval/turned/recall_at_1"
FAMILIES = {"C": "-", "D": "--"}  # letter of the group -> dashes; markers of C are white inside
PERFECT = {"marker": "_", "markersize": 7, "linestyle": ":", "linewidth": 0.8}
STEP, SPREAD = 0.08, 0.5  # shift between series: at most STEP, all of them SPREAD of the way to the next order (logs)


def plot_turned_queries(part: Part) -> Figure | None:
    """Return the share of turned sources that find themselves first, against group order; None where not measured."""
    return plot_metrics_vs_group(part, TURNED, "share found first")


def plot_metrics_vs_group(part: Part, metric: str | None = None, axis: str = "") -> Figure | None:
    """Return the headline (error) and ECE against group order |G|; dashes and full markers tell D_N from C_N.

    ``metric`` with the words of its ``axis`` takes the place of the headline.

    Each network (backbone, method, ...) has a colour and marker of its own and each label count a panel; of one
    network, or where these panels were too many, each label count has a colour and marker.
    Short bars in the ECE panels: what that network would show if it were perfectly calibrated. None below two groups.
    """
    headline = part.task.headline
    main, axis = (metric, axis) if metric else (headline.metric, headline.axis)
    rows = part.of(main)
    orders = sorted({group_order(g) for g in rows["group"]} - {0})
    if len(set(rows["group"])) < 2 or len(orders) < 2:
        return None
    metrics = [m for m in (main, "calibration/ece") if len(part.of(m))]
    facets, counts = sort_values(rows["augmentation"], "augmentation")[:MAX_FACETS], label_counts(rows)
    rest = Axes(tuple(c for c in part.axes.names if c != "group"), ())
    networks = list(rest.sort(rows).itertuples(index=False, name=None))
    apart = len(networks) > 1 and len(facets) * len(counts) <= MAX_FACETS
    places = [(a, [n]) for a in facets for n in counts] if apart else [(a, counts) for a in facets]
    figure, panels = make_panels(len(metrics), len(places), sharex=True, sharey="row", panel_height_in=1.75)
    for line, metric in zip(panels, metrics, strict=True):
        for panel, (augmentation, shown) in zip(line, places, strict=True):
            _draw_orders(panel, part, metric, augmentation, [(v, n) for n in shown for v in networks])
            set_log_ticks(panel, {order: str(order) for order in orders})
        limit_from_zero(line, part.of(metric), part.axes)
        line[0].set_ylabel({**YLABELS, main: axis}[metric])
    for panel, (augmentation, shown) in zip(panels[0], places, strict=True):
        words = [facet_title(augmentation, facets), labels_text(shown[0]) if apart else ""]
        panel.set_title("\n".join(filter(None, words)))
    for panel in panels[-1]:
        panel.set_xlabel("order of the symmetry group |G|" if len(places) < MAX_FACETS else "group order |G|")
    add_legend(figure, [panel for line in panels for panel in line])
    return figure


def _draw_orders(panel: Panel, part: Part, metric: str, augmentation: str, series: list[tuple[tuple, float]]) -> None:
    """Draw ``series``, (values of the naming columns besides the group, label count) each, next to each other."""
    rest = [c for c in part.axes.names if c != "group"]
    measured, perfect = (
        rows[rows["augmentation"] == augmentation] for rows in map(part.of, (metric, "calibration/ece_perfect"))
    )
    orders = sorted({group_order(g) for g in part.of(metric)["group"]} - {0})
    step = min(STEP, SPREAD * np.diff(np.log(orders)).min() / len(series))
    for k, (values, n_labels) in enumerate(series):
        colour, marker = shades(len(series))[k], MARKERS[(k + k // len(MARKERS)) % len(MARKERS)]
        for f, (family, dashes) in enumerate(FAMILIES.items()):
            means = _over_orders(measured, family, n_labels, dict(zip(rest, values, strict=True)))
            if means.empty:
                continue
            shift = np.exp(step * (k - (len(series) - 1) / 2 + 0.25 * (2 * f - 1)))
            panel.errorbar(
                means["x"] * shift,
                means["mean"],
                means["half_width"].fillna(0),
                color=colour,
                marker=marker,
                markerfacecolor="white" if family == "C" else colour,
                linestyle=dashes,
                elinewidth=0.8,
                label=_name(series, k, rest, family),
            )
            if metric == "calibration/ece":
                ideal = _over_orders(perfect, family, n_labels, dict(zip(rest, values, strict=True)))
                panel.plot(ideal["x"] * shift, ideal["mean"], color=colour, **PERFECT)
    if metric == "calibration/ece" and len(perfect):
        panel.add_line(Line2D([], [], color=GREY, label="a perfectly calibrated model", **PERFECT))


def _over_orders(rows: pd.DataFrame, family: str, n_labels: float, values: dict[str, object]) -> pd.DataFrame:
    """Return x = |G|, mean and half_width of the groups of one ``family`` of one network at one label count."""
    chosen = with_labels(rows[rows["group"].str.startswith(family)], n_labels)
    for column, value in values.items():
        chosen = chosen[chosen[column] == value]
    means = summarise(chosen, ["group", "data"])
    return means.assign(x=means["group"].map(group_order)).sort_values("x")


def _name(series: list[tuple[tuple, float]], k: int, rest: list[str], family: str) -> str:
    """Return what tells one of ``series`` from the others, and its family: "lenet, C$_N$, 50 labels"."""
    values, n_labels = series[k]
    varying = [c for i, c in enumerate(rest) if len({other[i] for other, _ in series}) > 1]
    words = [show_series(dict(zip(rest, values, strict=True)), varying), f"{family}$_N$"]
    several = not varying or len({n for _, n in series}) > 1
    return ", ".join(filter(None, [*words, labels_text(n_labels) if several else ""]))
