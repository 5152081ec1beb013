"""Reliability diagrams from stored predictions."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes as Panel
from matplotlib.figure import Figure

from equirgz.metrics.calibration.reliability_bins import reliability_table
from equirgz.report.figures.looks import Look, make_looks
from equirgz.report.figures.style import GREY, PAGE_IN, make_panels, wrap_words
from equirgz.report.rows.parts import Part, label_counts, with_labels
from equirgz.report.rows.table_axes import show_labels, sort_values

N_BINS, MAX_PANELS, PER_LINE = 10, 12, 4


def plot_reliability(part: Part, predictions: pd.DataFrame | None, class_names: tuple[str, ...] = ()) -> Figure | None:
    """Return a reliability diagram per series, at the largest label count and the last augmentation.

    Two classes: the share of class 1 against its probability; more: the share of right answers
    against confidence. Seeds are pooled; bars are Wilson 95 % intervals at the number of different
    SOURCES in a bin, since seeds share them; grey bars show where the predictions
    lie. Titles: ECE, and in brackets that of a perfectly calibrated model.
    None without predictions, or of another task than classes.
    """
    if predictions is None or not part.task.categorical:
        return None
    rows = part.headline
    if rows.empty:
        return None
    n_labels, augmentation = label_counts(rows)[-1], sort_values(rows["augmentation"], "augmentation")[-1]
    rows = with_labels(rows[rows["augmentation"] == augmentation], n_labels)
    mine = predictions[(predictions["split"] == part.split) & (predictions["target"] >= 0)]
    mine = mine[mine["readout"] == part.readout]
    looks = make_looks(rows, part.axes)
    chosen = []
    for values, look in list(looks.items())[:MAX_PANELS]:
        runs = rows.loc[(rows[list(part.axes.names)] == list(values)).all(axis=1), "run_key"]
        found = mine[mine["run_key"].isin(runs)]
        if len(found):
            chosen.append(
                (
                    look,
                    found,
                    _mean_of(part, "calibration/ece", runs),
                    _mean_of(part, "calibration/ece_perfect", runs),
                )
            )
    if not chosen:
        return None
    n_lines = -(-len(chosen) // PER_LINE)
    n_columns = -(-len(chosen) // n_lines)
    figure, panels = make_panels(n_lines, n_columns, sharex=True, sharey=True, panel_height_in=1.75)
    flat = [panel for line in panels for panel in line]
    for j, (panel, (look, found, ece, perfect)) in enumerate(zip(flat, chosen, strict=False)):
        name = _draw(panel, found, look, class_names)
        name_lines = wrap_words(look.name, PAGE_IN / n_columns - 0.2)
        panel.set_title(f"{name_lines}\nECE {ece:.3f} ({perfect:.3f})", fontsize=7.5)
        panel.xaxis.set_tick_params(labelbottom=j + n_columns >= len(chosen))
    for panel in flat[len(chosen) :]:
        panel.set_visible(False)
    figure.supxlabel(f"{name[0]} ({show_labels(n_labels)} labels, augmentation {augmentation})", fontsize=8)
    figure.supylabel(name[1], fontsize=8)
    return figure


def _mean_of(part: Part, metric: str, runs: pd.Series) -> float:
    rows = part.of(metric)
    return float(rows.loc[rows["run_key"].isin(runs), "value"].mean())


def _draw(panel: Panel, found: pd.DataFrame, look: Look, class_names: tuple[str, ...]) -> tuple[str, str]:
    """Draw one diagram; return what its axes show."""
    columns = [c for c in found.columns if c[0] == "p" and c[1:].isdigit() and found[c].notna().all()]
    if len(columns) == 2:
        name = class_names[1] if len(class_names) == 2 else "class 1"
        class_index, words = 1, (f"predicted probability of {name}", f"share of {name}")
    else:
        class_index, words = None, ("confidence", "share of right answers")
    probability_NK, target_N = found[columns].to_numpy(float), found["target"].to_numpy()
    source_N = found["source_id"].to_numpy()
    panel.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, zorder=2)
    lines = reliability_table(probability_NK, target_N, N_BINS, class_index=class_index, source_id_N=source_N)
    for line in lines:
        panel.bar((line["bin"] + 0.5) / N_BINS, line["share"], width=0.9 / N_BINS, color="0.85", zorder=1)
        below, above = (max(0.0, line["observed"] - line["low"]), max(0.0, line["high"] - line["observed"]))
        style = {
            **look.point,
            "markersize": 3.5,
            "elinewidth": 0.9,
            "zorder": 3,
        }
        panel.errorbar(line["stated"], line["observed"], [[below], [above]], **style)
    panel.set_xlim(-0.03, 1.03)
    panel.set_ylim(-0.03, 1.03)
    panel.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    panel.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    return words
