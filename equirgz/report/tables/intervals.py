"""Error and calibration with intervals over the test sources, from stored predictions.

Legend: R runs (seeds), S sources, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

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

N_DRAWS = 200


@dataclass(frozen=True)
class Number:
    """A column of an interval table: ``function(probability_SK, target_S)`` of one seed.

    mirrored: redrawing inflates it, and its interval is mirrored about the value; None: no interval.
    lowest, highest: ends of its range, at which its interval ends. terms: of the metric, where it has them.
    """

    metric: str
    title: str
    function: Callable[[np.ndarray, np.ndarray], float]
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


def _registered(metric: str, title: str, mirrored: bool | None = False) -> Number:
    entry = METRICS.get(metric)
    return Number(metric, title, entry.function, mirrored, entry.lowest, entry.highest, entry.terms)


MAIN = Family(
    "intervals",
    "Intervals over test sources",
    ("Error and calibration with 95 % intervals over test sources",),
    (
        _registered("error/rate", "error (%)"),
        _registered("nll/mean", "NLL (nat)"),
        _registered("calibration/brier", "Brier"),
        _registered("calibration/ece", "ECE", mirrored=True),
        _registered("calibration/ece_debiased", "ECE debiased", mirrored=None),
    ),
)


def make_intervals(results: Results, part: Part, family: Family = MAIN) -> tuple[list[list[str]], Sheet] | None:
    """Return (lines of the csv, the printed table) at the largest label count; None without predictions.

    Each number is the mean over the seeds of a cell; its interval redraws the test sources (all seeds of a
    source together), and is mirrored for calibration errors, which redrawing inflates; the debiased one has none.
    """
    cells = find_predictions(results, part)
    if not cells:
        return None
    n_labels = sort_label_counts(place[1] for place in cells)[-1]
    labels = part.axes.sort(part.rows[part.rows["metric"] == "error/rate"])
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
            n_sources = len(cell.target_S)
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

    def mean_over_seeds(probability_SRK: np.ndarray, target_S: np.ndarray) -> float:
        return float(np.mean([number.function(p_SK, target_S) for p_SK in probability_SRK.swapaxes(0, 1)]))

    arrays = cell.probability_RSK.swapaxes(0, 1), cell.target_S
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
