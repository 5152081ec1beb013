"""What attention sees of a source as it turns. Legend: A angles, H W pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from matplotlib.figure import Figure

from equirgz.report.figures.style import PAGE_IN, figure_style, make_figure


class Turned(Protocol):
    """What is drawn of :func:`equirgz.evaluate.attention_turns.turn_attention`."""

    angles_deg: Sequence[float]
    x_AHW: np.ndarray
    in_disk_HW: np.ndarray
    map_AHW: Mapping[str, np.ndarray]
    error_A: Mapping[str, np.ndarray]


def plot_attention(turned: Turned, *, source_name: str = "") -> Figure:
    """Return a Figure: the source at each angle, and below it the map of each network.

    Maps share one scale per network. The number under a map is its relative error against the turned map of the
    first angle (0: it turned with the source).
    """
    n_angles = len(turned.angles_deg)
    with figure_style():
        side = PAGE_IN / (n_angles + 0.3)
        figure = make_figure(PAGE_IN, (side + 0.3) * (1 + len(turned.map_AHW)))
        axes = figure.subplots(1 + len(turned.map_AHW), n_angles, squeeze=False)
        for axis, x_HW, angle in zip(axes[0], turned.x_AHW, turned.angles_deg, strict=True):
            axis.imshow(x_HW, cmap="magma", vmin=0.0)
            axis.set_title(f"{angle:g}°")
        axes[0, 0].set_ylabel(source_name or "source")
        for row, (name, map_AHW) in zip(axes[1:], turned.map_AHW.items(), strict=True):
            inside = map_AHW[:, turned.in_disk_HW]
            row[0].set_ylabel(name)
            for axis, map_HW, error in zip(row, map_AHW, turned.error_A[name], strict=True):
                shown_HW = np.where(turned.in_disk_HW, map_HW, np.nan)
                axis.imshow(shown_HW, cmap="viridis", vmin=float(inside.min()), vmax=float(inside.max()))
                if axis is not row[0]:
                    axis.set_xlabel(f"error {error:.1g}" if error >= 1e-3 else f"error {error:.0e}")
        for axis in axes.flat:
            axis.set_xticks([])
            axis.set_yticks([])
            axis.grid(False)
    return figure
