"""One source as it turns: predictive samples and their overlap. Legend: A angles, S samples, K classes, H W pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure

from equirgz.metrics.uncertainty.overlap_index import overlap_index
from equirgz.report.figures.style import COLUMN_IN, MARKERS, add_legend, figure_style, make_figure, palette


def plot_source_rotation(
    samples: dict[str, np.ndarray],
    angles_deg: Sequence[float],
    overlap: Callable[[np.ndarray], np.ndarray] = overlap_index,
    *,
    class_names: Sequence[str],
    image_HW: np.ndarray | None = None,
    source_name: str = "",
) -> Figure:
    """Return a Figure for ONE source: the samples of each class's probability against angle, a panel per network.

    ``samples`` maps a network's name to (A, S, K). Points are samples, the line their mean; the
    lowest panel compares the overlap index of all networks. The source itself stands at the side.
    """
    with figure_style():
        figure = make_figure(COLUMN_IN, 1.2 * (len(samples) + 1) + 0.7)
        panels = figure.subplots(len(samples) + 1, 1, sharex=True, squeeze=False)[:, 0]
        colours = palette(len(class_names) + len(samples))
        for panel, (name, probability_ASK) in zip(panels, samples.items(), strict=False):
            n_samples = probability_ASK.shape[1]
            for k, class_name in enumerate(class_names):
                angle_AS = np.repeat(np.asarray(angles_deg, float)[:, None], n_samples, 1)
                panel.plot(
                    angle_AS.ravel(),
                    probability_ASK[:, :, k].ravel(),
                    ".",
                    color=colours[k],
                    ms=1.5,
                    alpha=0.25,
                    rasterized=True,
                )
                panel.plot(angles_deg, probability_ASK[:, :, k].mean(1), color=colours[k], label=class_name)
            panel.set_ylim(-0.04, 1.04)
            panel.set_ylabel("probability")
            panel.set_title(name, pad=2)
        for i, (name, probability_ASK) in enumerate(samples.items()):
            value_A = [float(overlap(p_SK[:, None])[0]) for p_SK in probability_ASK]
            colour = colours[len(class_names) + i]
            panels[-1].plot(angles_deg, value_A, MARKERS[i] + "-", ms=2.5, color=colour, label=name)
        panels[-1].set_ylim(-0.04, 1.04)
        panels[-1].set_ylabel("overlap index")
        panels[-1].set_xlabel(f"rotation of {source_name or 'the source'} [deg]")
        panels[-1].set_xticks(range(0, 361, 90))
        add_legend(figure, [panels[0], panels[-1]])
        if image_HW is not None:
            inset = panels[0].inset_axes((1.02, 0.2, 0.22, 0.6))
            inset.imshow(image_HW, cmap="magma")
            inset.set_xticks([])
            inset.set_yticks([])
            inset.grid(False)
    return figure
