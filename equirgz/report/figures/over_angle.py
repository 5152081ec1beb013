"""Answers against the rotation of the input, and the equivariance error of the features."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from equirgz.report.figures.curves import MAX_FACETS
from equirgz.report.figures.looks import is_lattice, limit_from_zero, make_looks, summarise
from equirgz.report.figures.style import add_legend, make_panels, shades
from equirgz.report.rows.parts import Part, label_counts, with_labels
from equirgz.report.rows.table_axes import show_labels, sort_values

ROTATION = {
    "rotation/error": "test error (%)",
    "rotation/loss": "loss",
    "rotation/confidence": "mean confidence",
    "rotation/entropy": "entropy (nat)",
    "rotation/overlap": "overlap index",
}
FEW_ANGLES = 6


def plot_rotation(part: Part) -> Figure | None:
    """Return error, confidence (and entropy, overlap index where measured) against the angle of the input.

    A panel row per metric, a column per augmentation, the largest label count; bands are the 95 %
    interval over seeds. None without rotation curves.
    """
    metrics = [m for m in ROTATION if part.of(m)["angle_deg"].nunique() > 1]
    if not metrics:
        return None
    rows = part.of(metrics[0])
    n_labels = label_counts(rows)[-1]
    facets = sort_values(rows["augmentation"], "augmentation")[:MAX_FACETS]
    looks = make_looks(rows, part.axes)
    figure, panels = make_panels(len(metrics), len(facets), sharex=True, sharey="row", panel_height_in=1.6)
    for line, metric in zip(panels, metrics, strict=True):
        rows = with_labels(part.of(metric), n_labels)
        for panel, augmentation in zip(line, facets, strict=True):
            means = summarise(rows[rows["augmentation"] == augmentation], [*part.axes.names, "angle_deg"])
            for k, (values, look) in enumerate(looks.items()):
                curve = means[(means[list(part.axes.names)] == list(values)).all(axis=1)].sort_values("angle_deg")
                if curve.empty:
                    continue
                angle, mean, half = (curve[c].to_numpy() for c in ("angle_deg", "mean", "half_width"))
                if angle[0] == 0 and angle[-1] < 360 and np.allclose(np.diff(angle), 360 - angle[-1]):
                    angle, mean, half = (
                        np.append(angle, 360),
                        np.append(mean, mean[0]),
                        np.append(half, half[0]),
                    )
                every = max(1, len(angle) // 8)
                panel.plot(
                    angle,
                    mean,
                    **look.point,
                    linestyle=look.linestyle,
                    markersize=3,
                    markevery=(k % every, every),
                    label=look.name,
                )
                panel.fill_between(angle, mean - half, mean + half, color=look.color, alpha=0.12, linewidth=0)
            top = 360 if rows["angle_deg"].max() > 180 else 180
            panel.set_xticks(np.arange(0, top + 1, 90 if top == 360 else 45))
            panel.set_xlim(0, top)
        if metric == "rotation/confidence":
            low, high = line[0].get_ylim()
            line[0].set_ylim(max(0.0, low), min(1.0, high))
        else:
            limit_from_zero(line, rows, part.axes)
        line[0].set_ylabel(part.task.headline.per_source if metric == "rotation/loss" else ROTATION[metric])
    for panel, augmentation in zip(panels[0], facets, strict=True):
        panel.set_title(f"augmentation: {augmentation}, {show_labels(n_labels)} labels")
    for panel in panels[-1]:
        panel.set_xlabel("rotation of the input (deg)")
    add_legend(figure, [panel for line in panels for panel in line], [look.name for look in looks.values()])
    return figure


def plot_equivariance(part: Part) -> Figure | None:
    """Return the relative change of the features of trained models under rotation, by group, on a log scale.

    With few angles the groups stand on the x axis and each angle is a line (multiples of 90 degrees
    filled: exact on the pixel grid); with many, the angle does. Points are geometric means over all
    runs, bars their range. None where nothing was measured.
    """
    rows = part.of("equivariance/relative_l2")
    rows = rows[(rows["value"] > 0) & rows["angle_deg"].notna()]
    if rows.empty:
        return None
    angles = sorted(rows["angle_deg"].unique())
    looks = make_looks(rows, part.axes)
    figure, panels = make_panels(1, 1, panel_height_in=2.3)
    panel = panels[0][0]
    names = list(part.axes.names)
    by_series = {values: rows[(rows[names] == list(values)).all(axis=1)] for values in looks}

    def spread(chosen):
        logs = np.log(chosen["value"].to_numpy())
        mean = np.exp(logs.mean())
        return mean, mean - np.exp(logs.min()), np.exp(logs.max()) - mean

    if len(angles) <= FEW_ANGLES:
        for k, (angle, colour) in enumerate(zip(angles, shades(len(angles)), strict=True)):
            points = [
                (x, *spread(of[of["angle_deg"] == angle]))
                for x, of in enumerate(by_series.values())
                if (of["angle_deg"] == angle).any()
            ]
            x, mean, low, high = map(np.array, zip(*points, strict=True))
            panel.errorbar(
                x + 0.1 * (k - (len(angles) - 1) / 2),
                mean,
                (low, high),
                color=colour,
                marker="osD^vP"[k],
                markerfacecolor=colour if is_lattice(angle) else "white",
                label=f"{angle:g}°",
                elinewidth=0.8,
                linestyle="none",
            )
        long = max(len(look.name) for look in looks.values()) > 8
        panel.set_xticks(
            range(len(looks)),
            [look.name for look in looks.values()],
            rotation=30 if long else 0,
            ha="right" if long else "center",
        )
        panel.set_xlabel("" if long else "symmetry group")
    else:
        for values, look in looks.items():
            means = [(angle, spread(of)[0]) for angle, of in by_series[values].groupby("angle_deg")]
            panel.plot(
                *zip(*means, strict=True),
                **look.point,
                linestyle=look.linestyle,
                markersize=3,
                label=look.name,
            )
        panel.set_xlabel("rotation of the input (deg)")
    panel.set_yscale("log")
    panel.set_ylabel("relative change of features")
    add_legend(figure, [panel])
    return figure
