"""Images, votes of volunteers, what a network predicts, how unsure it is. Legend: N sources, K parts, H W pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from equirgz.errors import require
from equirgz.report.figures.style import PAGE_IN, figure_style, make_figure, palette

LINES = ("votes", "prediction", "uncertainty")


def plot_masks(
    image_NHW: np.ndarray,
    share_NKHW: np.ndarray,
    probability_NKHW: np.ndarray,
    spread_NKHW: np.ndarray,
    parts: Sequence[str],
    truth_NKHW: np.ndarray | None = None,
) -> Figure:
    """Return a Figure with a column per source: the image, then for each part votes, prediction and uncertainty.

    Votes and predictions are shares from 0 to 1 on one scale, the uncertainty is a standard deviation on a scale of its
    own for all sources; NaN (not asked) is hatched grey. With ``truth_NKHW`` the edges of the true masks are drawn over
    image and prediction. Raises InputError where shapes differ.
    """
    shape = (len(image_NHW), len(parts), *image_NHW.shape[1:])
    maps = (share_NKHW, probability_NKHW, spread_NKHW)
    for what, array in zip(LINES, maps, strict=True):
        require(np.shape(array) == shape, f"plot_masks: {what}", expected=shape, got=np.shape(array))
    n, k = shape[:2]
    with figure_style():
        side = min((PAGE_IN - 1.1) / n, 0.95)
        figure = make_figure(side * n + 1.1, side * (1 + 3 * k) + 0.15)
        panels = figure.subplots(1 + 3 * k, n, squeeze=False)
        for panel in panels.flat:
            panel.set_xticks([])
            panel.set_yticks([])
            panel.grid(False)
            panel.set_facecolor("0.8")
        for i, image_HW in enumerate(image_NHW):
            panels[0, i].imshow(image_HW, cmap="gray", interpolation="nearest")
        panels[0, 0].set_ylabel("image")
        for j, (part, colour) in enumerate(zip(parts, palette(k), strict=True)):
            lines = panels[1 + 3 * j : 4 + 3 * j]
            limits = (1.0, 1.0, max(float(np.nanmax(spread_NKHW)), 1e-6))
            for line, what, array, limit, cmap in zip(
                lines, LINES, maps, limits, ("viridis", "viridis", "magma"), strict=True
            ):
                for i, panel in enumerate(line):
                    shown = panel.imshow(array[i, j], vmin=0, vmax=limit, cmap=cmap, interpolation="nearest")
                    if np.isnan(array[i, j]).all():
                        panel.text(0.5, 0.5, "not asked", transform=panel.transAxes, ha="center", va="center", size=6)
                line[0].set_ylabel(f"{part}:\n{what}")
                figure.colorbar(shown, ax=list(line), fraction=0.03, pad=0.01, aspect=8)
            if truth_NKHW is not None:
                for i in range(n):
                    for panel in (panels[0, i], lines[1][i]):
                        if truth_NKHW[i, j].any() and not truth_NKHW[i, j].all():
                            edge = colour if panel is panels[0, i] else "w"
                            panel.contour(truth_NKHW[i, j] >= 0.5, levels=[0.5], colors=[edge], linewidths=0.6)
        figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.02, hspace=0.02)
    return figure
