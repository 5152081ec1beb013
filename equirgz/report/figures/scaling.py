"""The figure of power laws: fits over the runs, residuals below (see :mod:`equirgz.report.tables.power_laws`)."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from equirgz.report.figures.looks import make_looks
from equirgz.report.figures.style import GREY, add_legend, make_panels, set_log_numbers, set_log_ticks
from equirgz.report.rows.parts import Part
from equirgz.report.rows.table_axes import sort_values
from equirgz.report.tables.power_laws import LABELS, Abscissa, fit_part, measure_sizes

MAX_FACETS = 3


def plot_scaling(part: Part, abscissa: Abscissa = LABELS) -> Figure | None:
    """Return the fits over the runs, with their bands, and the residuals below; None where nothing could be fitted."""
    fits = fit_part(part, abscissa)
    fitted = {place: fit for place, fit in fits.items() if not isinstance(fit, str)}
    if not fitted:
        return None
    rows, axes = measure_sizes(part, abscissa)
    looks = make_looks(rows, axes)
    facets = sort_values({a for _, a in fitted}, "augmentation")[:MAX_FACETS]
    figure, panels = make_panels(2, len(facets), sharex=True, sharey="row", panel_height_in=1.7)
    sizes = np.geomspace(rows["size"].min(), rows["size"].max(), 60)
    for upper, lower, augmentation in zip(*panels, facets, strict=True):
        here = [name for name, a in fitted if a == augmentation]
        for k, name in enumerate(here):
            fit, look = fitted[name, augmentation], looks[name]
            runs = rows[(rows[list(axes.names)] == list(name)).all(axis=1) & (rows["augmentation"] == augmentation)]
            shift = 1.025 ** (k - (len(here) - 1) / 2)
            style = {**look.point, "linestyle": "none", "markersize": 2.5}
            upper.plot(runs["size"] * shift, runs["value"], alpha=0.6, **style)
            words = f"{look.name}: b = {fit.exponent:.2f}" if len(facets) == 1 else look.name
            upper.plot(sizes, fit.predict(sizes), color=look.color, linestyle=look.linestyle, label=words)
            upper.fill_between(sizes, *fit.interval(sizes), color=look.color, alpha=0.12, linewidth=0)
            lower.plot(runs["size"] * shift, 100 * np.expm1(fit.residual_R), alpha=0.6, **style)
        if abscissa.x == "parameters":
            lower.set_xscale("log")
            set_log_numbers(lower.xaxis)
        else:
            set_log_ticks(lower, {n: f"{n:g}" for n in sorted(set(rows["size"]))})
        upper.set_yscale("log")
        set_log_numbers(upper.yaxis)
        upper.set_title(f"augmentation: {augmentation}" if len(facets) > 1 else "")
        lower.axhline(0, color=GREY, linewidth=0.8)
        lower.set_xlabel(abscissa.words)
    panels[0][0].set_ylabel(part.task.headline.axis)
    panels[1][0].set_ylabel("residual (% of fit)")
    add_legend(figure, panels[0], [look.name for look in looks.values()])
    return figure
