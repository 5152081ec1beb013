"""Figures that compare a few networks on one test set, from their probabilities or rows alone.

Legend: R runs (seeds), N sources, K classes, A angles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from equirgz.errors import ResultsError
from equirgz.metrics.calibration.reliability_bins import reliability_table
from equirgz.metrics.compare.over_runs import check_runs
from equirgz.metrics.uncertainty.risk_coverage import risk_coverage
from equirgz.report.figures.over_angle import ROTATION
from equirgz.report.figures.style import DASHES, GREY, MARKERS, add_legend, make_panels, palette

N_BINS = 8
FEWEST_KEPT = 5  # sources from which a risk-coverage curve is drawn: fewer say nothing
Answers = Mapping[str, tuple[Mapping[str, np.ndarray], np.ndarray]]


def network_looks(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return colour, marker and dashes of each network: no series is told by colour alone."""
    colours = palette(len(names))
    return {
        name: {"color": colours[i], "marker": MARKERS[i % len(MARKERS)], "linestyle": DASHES[i % len(DASHES)]}
        for i, name in enumerate(names)
    }


def plot_network_reliability(
    answers: Answers, *, scaled: Answers | None = None, class_index: int = 1, class_name: str = "class 1"
) -> Figure:
    """Return reliability diagrams: a line of panels per test set, a panel per network.

    Args: answers: test set -> (network -> probability_RNK, target_N). scaled: the same after temperature
    scaling, drawn open. Runs are pooled; bars are Wilson 95 % intervals at the number of different sources,
    since runs share them. Grey columns show where the predictions lie.
    NaN: refused. Raises: InputError for unusable probabilities. Call it inside `figure_style`.
    """
    names = list(next(iter(answers.values()))[0])
    looks = network_looks(names)
    figure, panels = make_panels(len(answers), len(names), sharex=True, sharey=True, panel_height_in=1.75)
    for line, (test, (probability, target_N)) in zip(panels, answers.items(), strict=True):
        for panel, name in zip(line, names, strict=True):
            panel.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, zorder=2)
            look = {key: looks[name][key] for key in ("color", "marker")}
            for bin_ in _pooled(probability[name], target_N, class_index):
                panel.bar((bin_["bin"] + 0.5) / N_BINS, bin_["share"], 0.9 / N_BINS, color="0.87", zorder=1)
                bar = [[max(0.0, bin_["observed"] - bin_["low"])], [max(0.0, bin_["high"] - bin_["observed"])]]
                panel.errorbar(bin_["stated"], bin_["observed"], bar, **look, markersize=3.5, elinewidth=0.9, zorder=3)
            if scaled is not None:
                found = _pooled(scaled[test][0][name], target_N, class_index)
                panel.plot(
                    [b["stated"] for b in found], [b["observed"] for b in found], color=look["color"],
                    marker=look["marker"], markerfacecolor="white", markersize=3.5, linestyle=":",
                    linewidth=0.8, zorder=4,
                )  # fmt: skip
            panel.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        line[0].set_ylabel(f"{test} (n = {len(target_N)})\nshare of {class_name}")
    for panel, name in zip(panels[0], names, strict=True):
        panel.set_title(name)
    figure.supxlabel(f"predicted probability of {class_name}", fontsize=8)
    return figure


def _pooled(probability_RNK: np.ndarray, target_N: np.ndarray, class_index: int) -> list[dict[str, Any]]:
    p_RNK, target_N = check_runs(probability_RNK, target_N)
    source_RN = np.tile(np.arange(len(target_N)), len(p_RNK))
    flat = p_RNK.reshape(-1, p_RNK.shape[2])
    target = np.tile(target_N, len(p_RNK))
    return reliability_table(flat, target, N_BINS, class_index=class_index, source_id_N=source_RN)


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


def plot_network_rotation(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Return error, confidence, entropy and overlap index against the angle, all networks in each panel.

    Args: rows: network, run, metric, angle_deg, value (those of `equirgz.evaluate.turned_samples.overlap_rows` with the
    network and the run beside them). Lines are means over runs, bands reach from the lowest to the highest run.
    Raises: ResultsError without rows at two angles or more. Call it inside `figure_style`.
    """
    table = pd.DataFrame(list(rows))
    metrics = [m for m in ROTATION if len(table) and table.loc[table["metric"] == m, "angle_deg"].nunique() > 1]
    if not metrics:
        expected = f"rows of {', '.join(ROTATION)} at several angles"
        raise ResultsError("rotation figure", expected=expected, got="none")
    names = list(dict.fromkeys(table["network"]))
    looks = network_looks(names)
    n_lines = -(-len(metrics) // 2)
    figure, panels = make_panels(n_lines, min(2, len(metrics)), sharex=True, panel_height_in=1.75)
    flat = [panel for line in panels for panel in line]
    for panel, metric in zip(flat, metrics, strict=False):
        for k, name in enumerate(names):
            chosen = table[(table["metric"] == metric) & (table["network"] == name)]
            runs = chosen.pivot_table(index="angle_deg", columns="run", values="value").sort_index()
            angle, value_AR = runs.index.to_numpy(float), runs.to_numpy()
            if angle[0] == 0 and angle[-1] < 360:  # a full turn ends where it began
                angle, value_AR = np.r_[angle, 360.0], np.concatenate([value_AR, value_AR[:1]])
            mean = value_AR.mean(1)
            every = max(1, len(angle) // 8)
            panel.plot(angle, mean, **looks[name], markersize=3, markevery=(k % every, every), label=name)
            low, high, colour = value_AR.min(1), value_AR.max(1), looks[name]["color"]
            panel.fill_between(angle, low, high, color=colour, alpha=0.12, linewidth=0)
        panel.set_ylabel(ROTATION[metric])
        panel.set_xticks(range(0, 361, 90))
        panel.set_xlim(0, 360)
        panel.set_ylim(bottom=max(0.0, panel.get_ylim()[0]))
    for panel in flat[len(metrics) :]:
        panel.set_visible(False)
    for panel in panels[-1]:
        panel.set_xlabel("rotation of the sources (deg)")
    add_legend(figure, flat[: len(metrics)], names)
    return figure
