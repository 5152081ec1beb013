"""Error against any axis of the grid: lines over numbers, points with intervals over categories."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from matplotlib.axes import Axes as Panel
from matplotlib.figure import Figure

from equirgz.report.figures.curves import MAX_FACETS
from equirgz.report.figures.looks import Look, limit_from_zero, make_looks, summarise
from equirgz.report.figures.style import add_legend, make_panels, wrap_words
from equirgz.report.rows.parts import Part, label_counts, with_labels
from equirgz.report.rows.table_axes import ALWAYS, Axes, show_labels, show_value, sort_values

NAMES_IN = 1.5  # the widest that names of categories may be beside their panels


def plot_error_vs_axis(part: Part, column: str) -> Figure | None:
    """Return test error against another axis of the grid (width, method, ...), a colour and marker per series.

    Numbers lie along x and lines join them, a line of panels per label count. Categories have no order: they are
    listed down the left, the error lies along x, a column of panels per label count, and no line joins their points.
    Columns that ``column`` determines (the objective of a method) name no series. None where no series has two values.
    """
    rows = part.headline
    if rows.empty:
        return None
    several = rows.groupby(column, dropna=False).nunique(dropna=False).max() > 1
    rest = [c for c in part.axes.names if c != column and (c in ALWAYS or several[c])]
    if rows.groupby(rest, dropna=False)[column].nunique(dropna=False).max() < 2:
        return None
    steps = sort_values(rows[column])
    looks = make_looks(rows, Axes(tuple(rest), ()))
    draw = _draw_numbers if all(map(_is_number, steps)) else _draw_categories
    figure, panels = draw(rows, column, steps, rest, looks, part.task.headline.axis)
    limit_from_zero(panels, rows, part.axes, axis="y" if draw is _draw_numbers else "x")
    add_legend(figure, panels, [look.name for look in looks.values()])
    return figure


def _is_number(value: object) -> bool:
    try:
        return float(str(value)) == float(str(value))
    except ValueError:
        return False


def _draw_numbers(
    rows: pd.DataFrame, column: str, steps: list, rest: list[str], looks: dict[tuple, Look], words: str
) -> tuple[Figure, list[Panel]]:
    counts, facets = label_counts(rows), sort_values(rows["augmentation"], "augmentation")[:MAX_FACETS]
    figure, panels = make_panels(len(counts), len(facets), sharex=True, sharey=True, panel_height_in=1.8)
    steps = sorted(steps, key=float)
    for line, n_labels in zip(panels, counts, strict=True):
        for panel, augmentation in zip(line, facets, strict=True):
            here = with_labels(rows[rows["augmentation"] == augmentation], n_labels)
            for place, look, means in _series(here, column, rest, looks):
                x = means[column].map(steps.index).sort_values()
                means = means.loc[x.index]
                panel.errorbar(
                    x + 0.03 * place,
                    means["mean"],
                    means["half_width"],
                    linestyle=look.linestyle,
                    **_style(look),
                )
            panel.set_xticks(range(len(steps)), [show_value(v) for v in steps])
            panel.set_title(f"{augmentation}, {show_labels(n_labels)} labels")
        line[0].set_ylabel(words)
    for panel in panels[-1]:
        panel.set_xlabel(column)
    return figure, [panel for line in panels for panel in line]


def _draw_categories(
    rows: pd.DataFrame, column: str, steps: list, rest: list[str], looks: dict[tuple, Look], words: str
) -> tuple[Figure, list[Panel]]:
    counts, facets = label_counts(rows), sort_values(rows["augmentation"], "augmentation")[:MAX_FACETS]
    names = [wrap_words(show_value(v), NAMES_IN) for v in steps]
    n_lines = max(name.count("\n") + 1 for name in names)
    height_in = max(0.1 * len(looks) + 0.1, 0.12 * n_lines + 0.06) * len(steps) + 0.35
    figure, panels = make_panels(len(facets), len(counts), sharex=True, sharey=True, panel_height_in=height_in)
    for line, augmentation in zip(panels, facets, strict=True):
        for panel, n_labels in zip(line, counts, strict=True):
            here = with_labels(rows[rows["augmentation"] == augmentation], n_labels)
            for place, look, means in _series(here, column, rest, looks):
                y = means[column].map(steps.index) + 0.75 * place / len(looks)
                panel.errorbar(means["mean"], y, xerr=means["half_width"], linestyle="none", **_style(look))
            panel.set_title(f"{augmentation}, {show_labels(n_labels)} labels")
        line[0].set_yticks(range(len(steps)), names)
        line[0].set_ylim(len(steps) - 0.5, -0.5)
        line[0].set_ylabel(column)
    for panel in panels[-1]:
        panel.set_xlabel(words)
    return figure, [panel for line in panels for panel in line]


def _series(
    rows: pd.DataFrame, column: str, rest: list[str], looks: dict[tuple, Look]
) -> Iterator[tuple[float, Look, pd.DataFrame]]:
    """Yield (place, look, mean and half_width per value of ``column``) of each series; places are 1 apart about 0."""
    for k, (values, look) in enumerate(looks.items()):
        chosen = rows[(rows[rest] == list(values)).all(axis=1)]
        if len(chosen):
            means = summarise(chosen, [column, "data"]).fillna({"half_width": 0})
            yield k - (len(looks) - 1) / 2, look, means


def _style(look: Look) -> dict[str, object]:
    return {**look.point, "label": look.name, "elinewidth": 0.8}
