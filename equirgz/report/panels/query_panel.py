"""Queries and their nearest neighbours as images. Legend: Q queries, k neighbours, H W pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from equirgz.errors import InputError
from equirgz.report.figures.style import PAGE_IN, figure_style, make_figure


def plot_query_panel(
    query_image_QHW: np.ndarray,
    neighbour_image_QkHW: np.ndarray,
    similarity_Qk: np.ndarray,
    *,
    query_title_Q: Sequence[str] | None = None,
    neighbour_title_Qk: Sequence[Sequence[str]] | None = None,
    same_label_Qk: np.ndarray | None = None,
) -> Figure:
    """Return a Figure: a query per row (framed), its neighbours to the right, best first.

    Each image is stretched to its own maximum; the number above a neighbour is its cosine similarity.
    With ``same_label_Qk``, the frame of a neighbour of another class is dashed red.
    """
    query_image_QHW, neighbour_image_QkHW = np.asarray(query_image_QHW), np.asarray(neighbour_image_QkHW)
    n_queries, k = np.shape(similarity_Qk)
    if query_image_QHW.shape[0] != n_queries or neighbour_image_QkHW.shape[:2] != (n_queries, k):
        got = f"{query_image_QHW.shape} and {neighbour_image_QkHW.shape}"
        raise InputError("query panel", expected=f"{n_queries} queries with {k} neighbours", got=got)
    with figure_style():
        side = PAGE_IN / (k + 1)
        figure = make_figure(PAGE_IN, (side + 0.22) * n_queries)
        axes = figure.subplots(n_queries, k + 1, squeeze=False)
        for q in range(n_queries):
            _draw(axes[q, 0], query_image_QHW[q], query_title_Q[q] if query_title_Q else "query", "black", 2.0, "-")
            for j in range(k):
                title = f"{similarity_Qk[q][j]:.3f}"
                if neighbour_title_Qk is not None:
                    title = f"{neighbour_title_Qk[q][j]} {title}"
                same = same_label_Qk is None or bool(same_label_Qk[q][j])
                _draw(axes[q, j + 1], neighbour_image_QkHW[q, j], title, "0.6" if same else "C3", *_frame(same))
    return figure


def _frame(same: bool) -> tuple[float, str]:
    return (0.7, "-") if same else (1.6, "--")


def _draw(axis: Axes, image_HW: np.ndarray, title: str, colour: str, width: float, dash: str) -> None:
    peak = float(np.nanmax(image_HW)) if np.isfinite(image_HW).any() else 1.0
    axis.imshow(image_HW, cmap="magma", vmin=0.0, vmax=peak if peak > 0 else 1.0, interpolation="nearest")
    axis.set_title(title, fontsize=7, pad=2)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.grid(False)
    for spine in axis.spines.values():
        spine.set(visible=True, color=colour, linewidth=width, linestyle=dash)
