"""Error and calibration against label count, group order, or any other axis of the grid."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes as Panel
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from equirgz.report.axes import natural_key, show_value, sort_values
from equirgz.report.style import GREY, add_legend, make_panels, palette, set_log_ticks
from equirgz.report.summary import (
    ALL_LABELS,
    Part,
    group_order,
    label_counts,
    labels_text,
    limit_from_zero,
    make_looks,
    summarise,
    with_labels,
)

MAX_FACETS = 4
YLABELS = {
    "error/rate": "test error (%)",
    "calibration/ece": "ECE",
    "calibration/brier": "Brier score",
    "nll/mean": "NLL (nat)",
}


def facet_title(augmentation: str, facets: list[str]) -> str:
    """Return the title of a panel; none where there is only one."""
    return f"augmentation: {augmentation}" if len(facets) > 1 else ""


def plot_error_vs_labels(part: Part) -> Figure | None:
    """Return test error against label count, a panel per augmentation, a line per series; None below two counts."""
    rows = part.of("error/rate")
    counts = label_counts(rows)
    if len(counts) < 2:
        return None
    facets = sort_values(rows["augmentation"], "augmentation")[:MAX_FACETS]
    looks = make_looks(rows, part.axes)
    figure, panels = make_panels(1, len(facets), sharey=True, panel_height_in=2.2)
    place = {n: 10 ** (np.log10(counts[-2]) + 0.3) if n == ALL_LABELS else n for n in counts}
    for panel, augmentation in zip(panels[0], facets, strict=True):
        means = summarise(
            rows[rows["augmentation"] == augmentation].assign(
                n_labels=lambda f: f["n_labels"].fillna(ALL_LABELS)
            ),
            [*part.axes.names, "n_labels"],
        )
        for k, (values, look) in enumerate(looks.items()):
            line = means[(means[list(part.axes.names)] == list(values)).all(axis=1)]
            line = line.assign(x=line["n_labels"].map(place)).sort_values("x")
            shift = 1.018 ** (k - (len(looks) - 1) / 2)  # keeps error bars apart
            panel.errorbar(
                line["x"] * shift,
                line["mean"],
                line["half_width"].fillna(0),
                color=look.color,
                marker=look.marker,
                linestyle=look.linestyle,
                label=look.name,
                elinewidth=0.8,
            )
        set_log_ticks(panel, {place[n]: "all" if n == ALL_LABELS else str(int(n)) for n in counts})
        panel.set_xlabel("labelled training sources")
        panel.set_title(facet_title(augmentation, facets))
    limit_from_zero(panels[0], rows, part.axes)
    panels[0][0].set_ylabel(YLABELS["error/rate"])
    add_legend(figure, panels[0], [look.name for look in looks.values()])
    return figure


def plot_metrics_vs_group(part: Part) -> Figure | None:
    """Return error and ECE against group order |G|: colours are label counts, dashes tell C_N from D_N.

    Dotted in the ECE panels: what a perfectly calibrated model would show. None below two groups.
    """
    rows = part.of("error/rate")
    orders = sorted({group_order(g) for g in rows["group"]} - {0})
    if len(set(rows["group"])) < 2 or len(orders) < 2:
        return None
    metrics = [m for m in ("error/rate", "calibration/ece") if len(part.of(m))]
    facets = sort_values(rows["augmentation"], "augmentation")[:MAX_FACETS]
    figure, panels = make_panels(len(metrics), len(facets), sharex=True, sharey="row", panel_height_in=1.75)
    for line, metric in zip(panels, metrics, strict=True):
        for panel, augmentation in zip(line, facets, strict=True):
            _draw_orders(panel, part, metric, augmentation)
            set_log_ticks(panel, {order: str(order) for order in orders})
        limit_from_zero(line, part.of(metric), part.axes)
        line[0].set_ylabel(YLABELS[metric])
    for panel, augmentation in zip(panels[0], facets, strict=True):
        panel.set_title(facet_title(augmentation, facets))
    for panel in panels[-1]:
        panel.set_xlabel("order of the symmetry group |G|")
    add_legend(figure, [panel for line in panels for panel in line])
    return figure


def _draw_orders(panel: Panel, part: Part, metric: str, augmentation: str) -> None:
    rest = [c for c in part.axes.names if c != "group"]
    rows = part.of(metric)
    counts = label_counts(rows)
    colours = dict(zip(counts, palette(len(counts)), strict=True))
    rests = rows[rest].drop_duplicates().sort_values(rest, key=lambda c: c.map(lambda v: str(natural_key(v))))
    rows = rows[rows["augmentation"] == augmentation].assign(family=lambda f: f["group"].str[0])
    perfect = part.of("calibration/ece_perfect")
    perfect = perfect[perfect["augmentation"] == augmentation]
    for k, n_labels in enumerate(counts):
        for r, values in enumerate(rests.itertuples(index=False, name=None)):
            for family, marker, dashes in (("C", "o", "-"), ("D", "s", "--")):
                chosen = with_labels(rows[rows["family"] == family], n_labels)
                chosen = chosen[(chosen[rest] == list(values)).all(axis=1)]
                if chosen.empty:
                    continue
                means = summarise(chosen, ["group", "data"])
                means = means.assign(x=means["group"].map(group_order)).sort_values("x")
                shift = 1.05 ** (k - (len(counts) - 1) / 2) * 1.02 ** (
                    r * 2 + (family == "D") - len(rests) + 0.5
                )
                name = " ".join(map(show_value, values)) + ", " if len(rests) > 1 else ""
                panel.errorbar(
                    means["x"] * shift,
                    means["mean"],
                    means["half_width"].fillna(0),
                    color=colours[n_labels],
                    marker=marker,
                    linestyle=dashes,
                    elinewidth=0.8,
                    alpha=1 - 0.5 * r / len(rests),
                    label=f"{name}{family}$_N$, {labels_text(n_labels)}",
                )
        if metric == "calibration/ece":
            _draw_perfect(panel, with_labels(perfect, n_labels), colours[n_labels])


def _draw_perfect(panel: Panel, perfect: pd.DataFrame, colour: tuple) -> None:
    if perfect.empty:
        return
    means = perfect.assign(x=perfect["group"].map(group_order)).groupby("x")["value"].mean()
    panel.plot(means.index, means, linestyle=":", linewidth=1, color=colour)
    panel.add_line(
        Line2D([], [], linestyle=":", linewidth=1, color=GREY, label="a perfectly calibrated model")
    )


def plot_error_vs_axis(part: Part, column: str) -> Figure | None:
    """Return test error against another axis of the grid (width, learning rate, ...), a line per series."""
    rows = part.of("error/rate")
    if rows[column].nunique() < 2:
        return None
    rest = [c for c in part.axes.names if c != column]
    steps = sort_values(rows[column])
    if all(
        natural_key(v)[0] == 0 or str(v).replace(".", "", 1).replace("e-", "", 1).isdigit() for v in steps
    ):
        steps = sorted(steps, key=float)
    counts = label_counts(rows)
    facets = sort_values(rows["augmentation"], "augmentation")[:MAX_FACETS]
    looks = make_looks(rows.drop(columns=column).drop_duplicates(), type(part.axes)(tuple(rest), ()))
    figure, panels = make_panels(len(counts), len(facets), sharex=True, sharey=True, panel_height_in=1.8)
    for line, n_labels in zip(panels, counts, strict=True):
        for panel, augmentation in zip(line, facets, strict=True):
            here = with_labels(rows[rows["augmentation"] == augmentation], n_labels)
            for k, (values, look) in enumerate(looks.items()):
                chosen = here[(here[rest] == list(values)).all(axis=1)]
                if chosen.empty:
                    continue
                means = summarise(chosen, [column, "data"])
                x = means[column].map(steps.index)
                order = np.argsort(x.to_numpy(), kind="stable")
                shift = 0.03 * (k - (len(looks) - 1) / 2)
                panel.errorbar(
                    (x + shift).iloc[order],
                    means["mean"].iloc[order],
                    means["half_width"].fillna(0).iloc[order],
                    color=look.color,
                    marker=look.marker,
                    linestyle=look.linestyle,
                    label=look.name,
                    elinewidth=0.8,
                )
            panel.set_xticks(range(len(steps)), [show_value(v) for v in steps])
            panel.set_title(f"{augmentation}, {labels_text(n_labels)}")
        line[0].set_ylabel(YLABELS["error/rate"])
    limit_from_zero([panel for line in panels for panel in line], rows, part.axes)
    for panel in panels[-1]:
        panel.set_xlabel(column)
    add_legend(figure, [panel for line in panels for panel in line], [look.name for look in looks.values()])
    return figure
