"""The map of an embedding, coloured by class and by size. Legend: N sources."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from equirgz.errors import require
from equirgz.report.figures.style import COLUMN_IN, MARKERS, PAGE_IN, figure_style, make_figure, palette


def plot_map(
    position_N2: np.ndarray,
    *,
    label_N: np.ndarray | None = None,
    class_names: Sequence[str] = (),
    size_N: np.ndarray | None = None,
    size_name: str = "angular size [arcsec]",
) -> Figure:
    """Return a Figure of the map: one panel coloured by class, one by size (logarithmic), as given.

    Sources without label or size are small and grey, beneath the others.
    """
    wanted = [label_N is not None, size_N is not None]
    require(any(wanted), "plot_map", expected="label_N or size_N", got="neither")
    x_N, y_N = np.asarray(position_N2).T
    with figure_style():
        figure = make_figure(PAGE_IN if all(wanted) else COLUMN_IN, 3.1)
        panels = list(figure.subplots(1, sum(wanted), squeeze=False, sharex=True, sharey=True)[0])
        grey = {"s": 4, "color": "0.8", "linewidths": 0}
        if label_N is not None:
            panel, label_N = panels.pop(0), np.asarray(label_N)
            panel.scatter(x_N[label_N < 0], y_N[label_N < 0], **grey)
            classes = np.unique(label_N[label_N >= 0])
            for c, colour, marker in zip(classes, palette(len(classes)), MARKERS * 10, strict=False):
                name = class_names[c] if c < len(class_names) else f"class {c}"
                chosen = label_N == c
                panel.scatter(x_N[chosen], y_N[chosen], s=9, color=colour, marker=marker, linewidths=0, label=name)
            panel.legend(loc="best", markerscale=1.3)
            panel.set_ylabel("component 2")
        if size_N is not None:
            panel, size_N = panels.pop(0), np.asarray(size_N, float)
            known = np.isfinite(size_N) & (size_N > 0)
            panel.scatter(x_N[~known], y_N[~known], **grey)
            dots = panel.scatter(
                x_N[known], y_N[known], s=9, c=size_N[known], norm=LogNorm(), cmap="viridis", linewidths=0
            )
            figure.colorbar(dots, ax=panel, label=size_name)
        for panel in figure.axes[: sum(wanted)]:
            panel.set_xlabel("component 1")
    return figure
