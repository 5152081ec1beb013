"""A contact sheet of views: a line per source, the image first."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from equirgz.errors import InputError
from equirgz.report.figures.style import PAGE_IN, figure_style, make_figure


def plot_view_sheet(plain_NHW: np.ndarray, view_VNHW: np.ndarray, names: tuple[str, ...] = ()) -> Figure:
    """Return the images and up to seven views of each, all of a line on one scale from 0 to the image's maximum.

    ``names`` head the columns of views. Raises InputError for views of other sources than the images.
    """
    if view_VNHW.ndim != 4 or view_VNHW.shape[1] != len(plain_NHW):
        raise InputError("views", expected=f"(V, {len(plain_NHW)}, H, W)", got=view_VNHW.shape)
    shown = min(len(view_VNHW), 7)
    size = PAGE_IN / 8.4
    with figure_style():
        figure = make_figure(size * (shown + 1), size * len(plain_NHW) + 0.2)
        panels = figure.subplots(len(plain_NHW), shown + 1, squeeze=False)
        for i, line in enumerate(panels):
            top = max(float(np.nanmax(plain_NHW[i])), 1e-12)
            for panel, image in zip(line, [plain_NHW[i], *view_VNHW[:shown, i]], strict=True):
                panel.imshow(image, origin="lower", cmap="inferno", interpolation="nearest", vmin=0.0, vmax=top)
                panel.set_xticks([])
                panel.set_yticks([])
                panel.grid(False)
                for spine in panel.spines.values():
                    spine.set_visible(False)
        panels[0][0].set_title("image")
        for panel, name in zip(panels[0][1:], names, strict=False):
            panel.set_title(name)
        figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.02, hspace=0.02)
    return figure
