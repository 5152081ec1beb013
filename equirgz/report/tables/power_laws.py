"""Power laws of error against label count, parameters or a numeric axis: the fits, and the table of exponents.

A grid's YAML chooses the abscissa, ``report: {scaling: {x: n_labels | parameters | AXIS}}`` (arXiv 2404.02973).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from equirgz.errors import InputError, suggest
from equirgz.metrics.check import UndefinedMetricError
from equirgz.metrics.power_law import MIN_SIZES, PowerLaw, fit_power_law
from equirgz.report.rows.parts import Part
from equirgz.report.rows.results import Results
from equirgz.report.rows.table_axes import ALWAYS, Axes, show_labels, show_value, sort_values
from equirgz.report.tables.sheet import Sheet
from equirgz.report.tables.wording import show_rule

KEPT_APART = (*ALWAYS, "objective", "n_labels")  # series of their own, whatever they do to the parameters
SAME_SIZE = 1.1  # parameter counts within this factor are one size: matching and heads move them a little


@dataclass(frozen=True)
class Abscissa:
    """What the error is fitted against: ``n_labels``, ``parameters`` (``size`` holds them by run key), or an axis."""

    x: str = "n_labels"
    size: Mapping[str, float] = field(default_factory=dict)

    @property
    def words(self) -> str:
        return {"n_labels": "labelled training sources", "parameters": "trainable parameters"}.get(self.x, self.x)


LABELS = Abscissa()


def check_scaling(report: Mapping[str, Any], axes: Mapping[str, Sequence[Any]], source: str = "grid") -> str:
    """Return the abscissa that ``report.scaling.x`` chooses, "n_labels" without one.

    Args: report: the ``report`` section of a grid. axes: column -> labels of each axis of the grid.
    Raises: InputError unless it is n_labels, parameters or an axis whose labels all are numbers above 0.
    """
    if "scaling" not in report:
        return LABELS.x
    chosen = report["scaling"]
    if not isinstance(chosen, dict) or set(chosen) != {"x"}:
        raise InputError(f"{source}: key 'report.scaling'", expected="a mapping {x: ...}", got=repr(chosen))
    x = str(chosen["x"])
    if x in (LABELS.x, "parameters"):
        return x
    if x not in axes:
        raise InputError(f"{source}: report.scaling.x: unknown {x!r}; {suggest(x, [LABELS.x, 'parameters', *axes])}")
    numbers = pd.to_numeric(pd.Series([str(label) for label in axes[x]]), errors="coerce")
    if not (numbers > 0).all():
        bad = [label for label, number in zip(axes[x], numbers, strict=True) if not number > 0]
        raise InputError(f"{source}: report.scaling.x: axis {x!r}", expected="numbers > 0", got=repr(bad[0]))
    return x


def find_abscissa(results: Results) -> Abscissa:
    """Return the abscissa that the grid of a results folder asks for."""
    x = (results.options.get("scaling") or {}).get("x", LABELS.x)
    if x != "parameters":
        return Abscissa(x)
    rows = results.rows[results.rows["metric"] == "cost/parameters"]
    return Abscissa(x, dict(zip(rows["run_key"], rows["value"], strict=True)))


def measure_sizes(part: Part, abscissa: Abscissa = LABELS) -> tuple[pd.DataFrame, Axes]:
    """Return the error rows that have a size, in a column ``size``, and the axes that tell their series apart.

    A series is of one value of every axis but those that give the size: the axis itself, or those along which alone
    the parameters change by more than a tenth (never backbone, group or objective). Where the size is not the
    label count, each of several counts is a series.
    """
    rows, names = part.headline.copy(), list(part.axes.names)
    if abscissa.x == LABELS.x:
        return rows.assign(size=rows["n_labels"]).dropna(subset=["size"]), part.axes
    if abscissa.x == "parameters":
        rows["size"] = rows["run_key"].map(abscissa.size).astype(float)
    else:
        known = abscissa.x in rows.columns
        rows["size"] = pd.to_numeric(rows[abscissa.x], errors="coerce") if known else math.nan
    rows = rows.dropna(subset=["size"])
    if rows["n_labels"].nunique(dropna=False) > 1:
        names.append("n_labels")
    rows["n_labels"] = rows["n_labels"].map(show_labels)
    names = [name for name in names if name not in _giving_size(rows, names, abscissa)]
    return rows, replace(part.axes, names=tuple(names))


def _giving_size(rows: pd.DataFrame, names: list[str], abscissa: Abscissa) -> set[str]:
    if abscissa.x != "parameters":
        return {abscissa.x}
    found = set()
    for column in names:
        rest = [name for name in [*names, "augmentation"] if name != column]
        sizes = rows.groupby(rest, dropna=False)["size"]
        if column not in KEPT_APART and (sizes.max() / sizes.min()).max() > SAME_SIZE:
            found.add(column)
    return found


def fit_part(part: Part, abscissa: Abscissa = LABELS) -> dict[tuple[tuple, str], PowerLaw | str]:
    """Return the fit of each (series, augmentation), or why there is none; {} below four sizes."""
    rows, axes = measure_sizes(part, abscissa)
    if rows["size"].nunique() < MIN_SIZES or part.task.headline.direction != "lower":
        return {}
    fits: dict[tuple[tuple, str], PowerLaw | str] = {}
    for name in axes.sort(rows).itertuples(index=False, name=None):
        series = rows[(rows[list(axes.names)] == list(name)).all(axis=1)]
        for augmentation in sort_values(series["augmentation"], "augmentation"):
            runs = series[series["augmentation"] == augmentation]
            fits[tuple(name), augmentation] = _fit(runs)
    return fits


def _fit(runs: pd.DataFrame) -> PowerLaw | str:
    if (runs["value"] <= 0).any():
        return "a run has no error"
    try:
        return fit_power_law(runs["size"].to_numpy(float), runs["value"].to_numpy())
    except UndefinedMetricError as error:
        return str(error).removeprefix("power law: ").split(";")[0]


def make_scaling_table(part: Part, abscissa: Abscissa = LABELS) -> tuple[list[list[str]], Sheet] | None:
    """Return (lines of the csv, the printed table) of exponents with intervals; refusals say why."""
    fits = fit_part(part, abscissa)
    if not fits:
        return None
    names = list(measure_sizes(part, abscissa)[1].names)
    against = "labelled sources" if abscissa == LABELS else abscissa.words
    csv = [[*names, "augmentation", "exponent", "low_95", "high_95", "coefficient", "r_squared", "misfit_p", "n_runs",
            "refused"]]  # fmt: skip
    lines = []
    for (name, augmentation), fit in fits.items():
        start = [*map(show_value, name), augmentation]
        if isinstance(fit, str):
            lines.append([*start, "–", "–", "–", fit])
            csv.append([*start, *[""] * 7, fit])
            continue
        numbers = (
            fit.exponent,
            fit.exponent_low,
            fit.exponent_high,
            fit.coefficient,
            fit.r_squared,
            fit.misfit_p,
        )
        csv.append([*start, *("" if math.isnan(x) else f"{x:.6g}" for x in numbers), str(fit.n_runs), ""])
        words = f"{fit.exponent:.3f} [{fit.exponent_low:.3f}, {fit.exponent_high:.3f}]"
        lines.append([*start, words, f"{fit.coefficient:.1f}", f"{fit.r_squared:.2f}", ""])
    header = [
        *names,
        "augmentation",
        "exponent b",
        f"coefficient a ({part.task.headline.unit})",
        "R²",
        "refused because",
    ]
    headline = part.task.headline
    what = headline.axis.rpartition(" (")[0] or headline.axis
    against = against if abscissa == LABELS else f"= {against}"
    caption = [f"Power laws of the {what}, {headline.short} = a n^−b, against n {against}",
               f"Data {part.data}, split {part.split}, read-out {part.readout}",
               "Least squares of logarithms over all runs, with the 95 % interval of b",
               show_rule(part.rows["selection_rule"])]  # fmt: skip
    sheet = Sheet("Power laws", len(names) + 1, header, [""] * len(header), lines, caption,
                  label=f"scaling-{part.split}-{part.readout}")  # fmt: skip
    return csv, sheet
