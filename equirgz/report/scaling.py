"""Power laws of error against label count: the table of exponents, and the figure with residuals."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from equirgz.metrics.check import UndefinedMetricError
from equirgz.metrics.scaling import MIN_SIZES, PowerLaw, fit_power_law
from equirgz.report.axes import show_value, sort_values
from equirgz.report.sheet import Sheet
from equirgz.report.style import GREY, add_legend, make_panels, set_log_numbers, set_log_ticks
from equirgz.report.summary import Part, make_looks
from equirgz.report.wording import show_rule

MAX_FACETS = 3


def fit_part(part: Part) -> dict[tuple[tuple, str], PowerLaw | str]:
    """Return the fit of each (series, augmentation), or why there is none; {} below four label counts."""
    rows = part.of("error/rate").dropna(subset=["n_labels"])
    if rows["n_labels"].nunique() < MIN_SIZES:
        return {}
    fits: dict[tuple[tuple, str], PowerLaw | str] = {}
    for name in part.axes.sort(rows).itertuples(index=False, name=None):
        series = rows[(rows[list(part.axes.names)] == list(name)).all(axis=1)]
        for augmentation in sort_values(series["augmentation"], "augmentation"):
            runs = series[series["augmentation"] == augmentation]
            fits[tuple(name), augmentation] = _fit(runs)
    return fits


def _fit(runs: pd.DataFrame) -> PowerLaw | str:
    if (runs["value"] <= 0).any():
        return "a run has no error"
    try:
        return fit_power_law(runs["n_labels"].to_numpy(), runs["value"].to_numpy())
    except UndefinedMetricError as error:
        return str(error).removeprefix("power law: ").split(";")[0]


def make_scaling_table(part: Part) -> tuple[list[list[str]], Sheet] | None:
    """Return (lines of the csv, the printed table) of exponents with intervals; refusals say why."""
    fits = fit_part(part)
    if not fits:
        return None
    names = list(part.axes.names)
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
    header = [*names, "augmentation", "exponent b", "coefficient a (%)", "R²", "refused because"]
    caption = ["Power laws of the test error, error = a n^−b, against n labelled sources",
               f"Data {part.data}, split {part.split}, read-out {part.readout}",
               "Least squares of logarithms over all runs, with the 95 % interval of b",
               show_rule(part.rows["selection_rule"])]  # fmt: skip
    sheet = Sheet("Power laws", len(names) + 1, header, [""] * len(header), lines, caption,
                  label=f"scaling-{part.split}-{part.readout}")  # fmt: skip
    return csv, sheet


def plot_scaling(part: Part) -> Figure | None:
    """Return the fits over the runs, with their bands, and the residuals below; None where nothing could be fitted."""
    fits = fit_part(part)
    fitted = {place: fit for place, fit in fits.items() if not isinstance(fit, str)}
    if not fitted:
        return None
    rows = part.of("error/rate").dropna(subset=["n_labels"])
    looks = make_looks(rows, part.axes)
    facets = sort_values({a for _, a in fitted}, "augmentation")[:MAX_FACETS]
    figure, panels = make_panels(2, len(facets), sharex=True, sharey="row", panel_height_in=1.7)
    sizes = np.geomspace(rows["n_labels"].min(), rows["n_labels"].max(), 60)
    for upper, lower, augmentation in zip(*panels, facets, strict=True):
        here = [name for name, a in fitted if a == augmentation]
        for k, name in enumerate(here):
            fit, look = fitted[name, augmentation], looks[name]
            runs = rows[
                (rows[list(part.axes.names)] == list(name)).all(axis=1)
                & (rows["augmentation"] == augmentation)
            ]
            shift = 1.025 ** (k - (len(here) - 1) / 2)
            style = {"color": look.color, "marker": look.marker, "linestyle": "none", "markersize": 2.5}
            upper.plot(runs["n_labels"] * shift, runs["value"], alpha=0.6, **style)
            words = f"{look.name}: b = {fit.exponent:.2f}" if len(facets) == 1 else look.name
            upper.plot(sizes, fit.predict(sizes), color=look.color, linestyle=look.linestyle, label=words)
            upper.fill_between(sizes, *fit.interval(sizes), color=look.color, alpha=0.12, linewidth=0)
            lower.plot(runs["n_labels"] * shift, 100 * np.expm1(fit.residual_R), alpha=0.6, **style)
        set_log_ticks(lower, {n: str(int(n)) for n in sorted(set(rows["n_labels"]))})
        upper.set_yscale("log")
        set_log_numbers(upper.yaxis)
        upper.set_title(f"augmentation: {augmentation}" if len(facets) > 1 else "")
        lower.axhline(0, color=GREY, linewidth=0.8)
        lower.set_xlabel("labelled training sources")
    panels[0][0].set_ylabel("test error (%)")
    panels[1][0].set_ylabel("residual (% of fit)")
    add_legend(figure, panels[0], [look.name for look in looks.values()])
    return figure
