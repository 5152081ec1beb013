"""The error of the surest sources of a few networks, from their probabilities.

Legend: R runs (seeds), N sources, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from equirgz.metrics.compare.over_runs import check_runs
from equirgz.metrics.uncertainty.risk_coverage import risk_coverage
from equirgz.report.figures.style import DASHES, MARKERS, add_legend, make_panels, palette

FEWEST_KEPT = 5  # sources from which a risk-coverage curve is drawn: fewer say nothing
Answers = Mapping[str, tuple[Mapping[str, np.ndarray], np.ndarray]]


def network_looks(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return colour, marker and dashes of each network: no series is told by colour alone."""
    colours = palette(len(names))
    return {
        name: {"color": colours[i], "marker": MARKERS[i % len(MARKERS)], "linestyle": DASHES[i % len(DASHES)]}
        for i, name in enumerate(names)
    }


def plot_risk_coverage(answers: Answers, looks: Mapping[str, Mapping[str, Any]] | None = None) -> Figure:
    """Return the error of the surest sources against their share, a panel per test set, a line per network.

    Args: looks: keywords of each network's line; None: a colour, marker and dashes each.
    A network that a test set lacks has no line there. Curves are means over runs, from five sources on; the right
    end is the error of all sources. NaN: refused.
    """
    names = list(dict.fromkeys(name for probability, _ in answers.values() for name in probability))
    looks = looks or network_looks(names)
    figure, (line,) = make_panels(1, len(answers), sharey=True, panel_height_in=2.0)
    top = 0.0
    for panel, (test, (probability, target_N)) in zip(line, answers.items(), strict=True):
        for k, name in enumerate(names):
            if name not in probability:
                continue
            p_RNK, y_N = check_runs(probability[name], target_N)
            curves = [risk_coverage(p.max(1), p.argmax(1) != y_N) for p in p_RNK]
            risk_N = 100 * np.mean([curve.risk_N for curve in curves], axis=0)
            shown = slice(min(FEWEST_KEPT, len(risk_N)) - 1, None)
            top = max(top, float(risk_N[shown].max()))
            every = max(1, len(risk_N) // 8)
            panel.plot(
                100 * curves[0].coverage_N[shown], risk_N[shown], **looks[name], markersize=3, label=name,
                markevery=(k * every // 3, every),
            )  # fmt: skip
        panel.set_title(f"{test} (n = {len(target_N)})")
        panel.set_xlabel("sources kept, surest first (%)")
        panel.set_xlim(0, 100)
    line[0].set_ylim(0, 1.06 * max(top, 1.0))
    line[0].set_ylabel("error of those kept (%)")
    add_legend(figure, line, names)
    return figure
