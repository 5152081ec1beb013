"""Tables that a grid has where its YAML asks for them: ``report: {extras: [risk_coverage, ...]}``.

All follow from predictions.csv.gz. Legend: R runs (seeds), S sources, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from equirgz.errors import InputError, check_choice
from equirgz.metrics.calibration.brier import brier_score, decompose_brier
from equirgz.metrics.compare.over_runs import BRIER_BINS, BRIER_PARTS_RANGE
from equirgz.metrics.uncertainty.uncertainty_rows import compute_selective_metrics
from equirgz.report.rows.parts import Part
from equirgz.report.rows.results import Results
from equirgz.report.tables.intervals import Family, Number, make_intervals, of_classes, registered
from equirgz.report.tables.mcnemar import make_mcnemar, make_needed
from equirgz.report.tables.pareto import make_pareto
from equirgz.report.tables.sheet import Sheet
from equirgz.tasks import Task
from equirgz.tasks.base import Kept

EXTRAS = ("risk_coverage", "brier_parts", "smooth_calibration", "mcnemar", "needed_sources", "pareto")


def check_extras(options: Mapping[str, Any], source: str = "grid") -> tuple[str, ...]:
    """Return the extras that a grid's ``report`` section asks for, each once; raise InputError for an unknown one."""
    named = options.get("extras") or ()
    if not isinstance(named, (list, tuple)):
        raise InputError(f"{source}: key 'report.extras'", expected=f"a list of {EXTRAS}", got=repr(named))
    return tuple(dict.fromkeys(check_choice(f"{source}: key 'report.extras'", name, EXTRAS) for name in named))


def check_extras_of(options: Mapping[str, Any], task: Task) -> None:
    """Raise InputError where extras, all of which are of classes, are asked for of another task."""
    if options.get("extras") and not task.categorical:
        mend = "leave report.extras out"
        raise InputError("report.extras", expected="a task whose answers are classes", got=task.name, mend=mend)


def find_extras(
    results: Results, part: Part, also: Iterable[str] = ()
) -> dict[str, Callable[[], tuple[list[list[str]], Sheet] | None]]:
    """Return by name of each extra asked for, and of those ``also`` wanted, what makes (lines of the csv, the printed
    table); None if it cannot."""

    def make(name: str) -> tuple[list[list[str]], Sheet] | None:
        if name in FAMILIES:
            return make_intervals(results, part, FAMILIES[name])
        return {"mcnemar": make_mcnemar, "needed_sources": make_needed, "pareto": make_pareto}[name](results, part)

    asked = (*check_extras(results.options, results.name), *(name for name in also if name in EXTRAS))
    wanted = dict.fromkeys(asked) if part.task.categorical else ()
    return {name: partial(make, name) for name in wanted}


def make_extras(results: Results, part: Part) -> dict[str, tuple[list[list[str]], Sheet] | None]:
    """Return (lines of the csv, the printed table) by name of each extra asked for; None without predictions."""
    return {name: make() for name, make in find_extras(results, part).items()}


def _selective(metric: str, title: str, highest: float) -> Number:
    def compute(probability_SK: np.ndarray, target_S: np.ndarray) -> float:
        rows = compute_selective_metrics(probability_SK, target_S)
        return next(row["value"] for row in rows if row["metric"] == metric)

    return Number(metric, title, of_classes(compute), lowest=0.0, highest=highest)


def _brier(part: str) -> Callable[[Kept], float]:
    return lambda kept: getattr(decompose_brier(kept["probability"], kept["target"], BRIER_BINS), part)


FAMILIES = {
    "risk_coverage": Family(
        "risk_coverage",
        "Selective prediction",
        (
            "Error when the network answers for the sources it is surest of, with 95 % intervals over test sources",
            "AURC: mean error (share) over all shares of sources kept; excess: AURC less that of a network that "
            "ranks all its wrong answers last",
        ),
        (
            _selective("selective/aurc", "AURC", 1.0),
            _selective("selective/excess_aurc", "excess AURC", 1.0),
            _selective("selective/error_at_80", "error of the surest 80 % (%)", 100.0),
        ),
    ),
    "brier_parts": Family(
        "brier_parts",
        "Parts of the Brier score",
        (
            f"Parts of the Brier score (Murphy, {BRIER_BINS} bins of equal width, classes summed), with 95 % "
            "intervals over test sources",
            "Brier = reliability (0 is best) − resolution (large is best) + uncertainty (of always stating the class "
            "shares) + what differs inside bins",
            "With few sources reliability and resolution are biased upwards; their intervals are mirrored, which takes "
            "that out",
        ),
        (
            Number("calibration/brier", "Brier", of_classes(brier_score), False, 0.0, 2.0),
            Number("calibration/brier_reliability", "reliability", _brier("reliability"), True, *BRIER_PARTS_RANGE),
            Number("calibration/brier_resolution", "resolution", _brier("resolution"), True, *BRIER_PARTS_RANGE),
            Number("calibration/brier_uncertainty", "uncertainty", _brier("uncertainty"), None),
        ),
    ),
    "smooth_calibration": Family(
        "smooth_calibration",
        "Calibration with and without bins",
        (
            "Calibration errors with 95 % intervals over test sources: smooth ECE, without bins (arXiv 2309.12236), "
            "and ECE with 15 bins of equal width",
            "Perfect: what a perfectly calibrated network would show with these confidences and as many sources; the "
            "intervals are mirrored, which takes much of that bias out",
        ),
        (
            registered("calibration/ece_smooth", "smooth ECE", mirrored=True),
            registered("calibration/ece_smooth_perfect", "perfect", mirrored=None),
            registered("calibration/ece", "ECE", mirrored=True),
            registered("calibration/ece_perfect", "perfect", mirrored=None),
            registered("nll/mean", "NLL (nat)"),
        ),
    ),
}
