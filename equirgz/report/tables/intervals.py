"""Error and calibration with intervals over the test sources, from stored predictions.

Legend: R runs (seeds), S sources, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from equirgz.metrics.base import METRICS, Terms
from equirgz.metrics.compare.bootstrap import bootstrap_interval
from equirgz.report.rows.parts import Part
from equirgz.report.rows.pooled_folds import show_folds
from equirgz.report.rows.predictions import CellPredictions, find_predictions
from equirgz.report.rows.results import Results
from equirgz.report.rows.table_axes import show_labels, show_value, sort_label_counts, sort_values
from equirgz.report.tables.sheet import Sheet
from equirgz.report.tables.wording import MISSING, show_rule, show_sources
from equirgz.tasks import Task
from equirgz.tasks.base import Kept
from equirgz.tasks.classification import CLASSES

N_DRAWS = 200


@dataclass(frozen=True)
class Number:
    """A column of an interval table: ``function(kept)`` of what is kept of one seed.

    mirrored: redrawing inflates it, and its interval is mirrored about the value; None: no interval.
    lowest, highest: ends of its range, at which its interval ends. terms: of the metric, where it has them.
    """

    metric: str
    title: str
    function: Callable[[Kept], float]
    mirrored: bool | None = False
    lowest: float = -math.inf
    highest: float = math.inf
    terms: Terms | None = None


@dataclass(frozen=True)
class Family:
    """A kind of interval table: the name of its files, its title, the first sentences of its caption, its columns."""

    name: str
    title: str
    caption: tuple[str, ...]
    numbers: tuple[Number, ...]


def registered(metric: str, title: str, mirrored: bool | None = False) -> Number:
    """Return the column of a registered metric of classes, with its range and its terms."""
    entry = METRICS.get(metric)
    return Number(metric, title, of_classes(entry.function), mirrored, entry.lowest, entry.highest, entry.terms)


def of_classes(function: Callable[[np.ndarray, np.ndarray], float]) -> Callable[[Kept], float]:
    """Return a function of class probabilities (S, K) and targets (S,) as one of what is kept."""
    return lambda kept: function(kept["probability"], kept["target"])


MAIN = Family(
    "intervals",
    "Intervals over test sources",
    ("Error and calibration with 95 % intervals over test sources",),
    (
        registered(CLASSES.headline.metric, "error (%)"),
        registered("nll/mean", "NLL (nat)"),
        registered("calibration/brier", "Brier"),
        registered("calibration/ece", "ECE", mirrored=True),
        registered("calibration/ece_debiased", "ECE debiased", mirrored=None),
    ),
)


def find_family(part: Part) -> Family:
    """Return the interval table of a task: of classes :data:`MAIN`, else of the metrics that it shows first."""
    task = part.task
    if task.categorical:
        return MAIN
    units = part.rows.drop_duplicates("metric").set_index("metric")["unit"].to_dict()
    numbers = [
        Number(
            metric, metric if units[metric] == "1" else f"{metric} ({units[metric]})", partial(_measure, task, metric)
        )
        for metric in task.shown
        if metric in units
    ]
    caption = f"{task.headline.title} and others with 95 % intervals over test sources"
    return Family(MAIN.name, MAIN.title, (caption,), tuple(numbers))


def _measure(task: Task, metric: str, kept: Kept) -> float:
    value = next((row["value"] for row in task.score(kept) if row["metric"] == metric), None)
    return math.nan if value is None else value


def make_intervals(results: Results, part: Part, family: Family | None = None) -> tuple[list[list[str]], Sheet] | None:
    """Return (lines of the csv, the printed table) at the largest label count; None without predictions.

    Each number is the mean over the seeds of a cell; its interval redraws the test sources (all seeds of a
    source together), and is mirrored for calibration errors, which redrawing inflates; the debiased one has none.
    """
    cells = find_predictions(results, part)
    if not cells:
        return None
    family = find_family(part) if family is None else family
    n_labels = sort_label_counts(place[1] for place in cells)[-1]
    labels = part.axes.sort(part.rows[part.rows["metric"] == part.task.headline.metric])
    augmentations = sort_values({place[2] for place in cells}, "augmentation")
    csv = [
        [
            *part.axes.names,
            "n_labels",
            "augmentation",
            "metric",
            "value",
            "low_95",
            "high_95",
            "n_seeds",
            "n_sources",
        ]
    ]
    lines = []
    n_sources = 0
    for name in labels.itertuples(index=False, name=None):
        for augmentation in augmentations:
            cell = cells.get((tuple(name), n_labels, augmentation))
            if cell is None:
                continue
            n_sources = len(cell.source_ids)
            found = [_interval(cell, number) for number in family.numbers]
            lines.append([*map(show_value, name), augmentation, *(_words(*f) for f in found)])
            for number, values in zip(family.numbers, found, strict=True):
                digits = ("" if math.isnan(x) else f"{x:.6g}" for x in values)
                csv.append([*map(str, name), show_labels(n_labels), augmentation, number.metric, *digits,
                            str(len(cell.pairs)), str(n_sources)])  # fmt: skip
    if not lines:
        return None
    header = [*part.axes.names, "augmentation", *(number.title for number in family.numbers)]
    caption = [
        *family.caption,
        f"Data {part.data}, split {part.split} ({show_sources(n_sources, show_folds(part.rows))}), read-out "
        f"{part.readout}, "
        f"{show_labels(n_labels)} labels",
        f"Mean over seeds; the intervals redraw the sources {N_DRAWS} times (Wilson's where all draws agree) and say "
        "nothing of other seeds",
        show_rule(part.rows["selection_rule"]),
    ]
    sheet = Sheet(family.title, len(part.axes.names) + 1, header, [""] * len(header), lines, caption,
                  label=f"{family.name.replace('_', '-')}-{part.split}-{part.readout}")  # fmt: skip
    return csv, sheet


def _interval(cell: CellPredictions, number: Number) -> tuple[float, float, float]:
    """Return (value, low, high), NaN where the number or its interval is not defined."""

    names = [*cell.kept]
    arrays = [array if name == "target" else array.swapaxes(0, 1) for name, array in cell.kept.items()]

    def mean_over_seeds(*drawn: np.ndarray) -> float:
        kept = {n: a if n == "target" else a.swapaxes(0, 1) for n, a in zip(names, drawn, strict=True)}
        again = replace(cell, kept=kept)
        return float(np.mean([number.function(again.of_run(r)) for r in range(len(cell.pairs))]))

    value = mean_over_seeds(*arrays)
    if not np.isfinite(value):
        return math.nan, math.nan, math.nan
    if number.mirrored is None:
        return value, math.nan, math.nan
    found = bootstrap_interval(
        mean_over_seeds, *arrays, n_draws=N_DRAWS, method="basic" if number.mirrored else "percentile",
        lowest=number.lowest, highest=number.highest, redraw=_redraw(cell, number.terms),
    )  # fmt: skip
    return found.value, found.low, found.high


def _redraw(cell: CellPredictions, terms: Terms | None) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return what gives the mean over seeds for many draws of sources at once; None for a number without terms."""
    if terms is None:
        return None
    terms_RSJ = [terms.of_sources(p_SK, cell.target_S) for p_SK in cell.probability_RSK]
    return lambda index_DS: np.mean([terms.redraw(terms_SJ, index_DS) for terms_SJ in terms_RSJ], axis=0)


def _words(value: float, low: float, high: float) -> str:
    if math.isnan(value):
        return MISSING
    digits = 1 if max(abs(value), abs(high)) >= 2 else 3
    interval = "" if math.isnan(low) else f" [{low:.{digits}f}, {high:.{digits}f}]"
    return f"{value:.{digits}f}{interval}".replace("-", "−")
