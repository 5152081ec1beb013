"""Writing every figure that a results folder can give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from matplotlib.figure import Figure

from equirgz.errors import ResultsError
from equirgz.report.figures.curves import plot_error_vs_labels
from equirgz.report.figures.orders import plot_metrics_vs_group, plot_turned_queries
from equirgz.report.figures.over_angle import plot_equivariance, plot_rotation
from equirgz.report.figures.over_axis import plot_error_vs_axis
from equirgz.report.figures.over_cost import plot_learning, plot_pareto
from equirgz.report.figures.reliability import plot_reliability
from equirgz.report.figures.sample_panel import plot_samples, read_samples
from equirgz.report.figures.scaling import plot_scaling
from equirgz.report.figures.selective import plot_selective
from equirgz.report.figures.style import figure_style, save_figure
from equirgz.report.rows.parts import Part, make_parts, split_part
from equirgz.report.rows.results import Results, open_results
from equirgz.report.rows.table_axes import ALWAYS
from equirgz.report.tables.extras import check_extras
from equirgz.report.tables.power_laws import LABELS, find_abscissa


def write_figures(folder: Path | str | Results) -> list[Path]:
    """Write figures/*.png and *.svg of a results folder; return their paths.

    error_vs_labels, metrics_vs_group, error_vs_<axis> (another task has the short name of its headline for error),
    reliability, rotation, equivariance, learning (error against updates and seconds) and samples, each where the rows
    (predictions, samples) carry it;
    risk_coverage and pareto where the grid's report section asks for them; splits other than "test" and read-outs
    other than "network" have names of their own. The bytes are a function of those files.
    Raises: ResultsError where the rows cannot be read or give no figure.
    """
    results = open_results(folder)
    paths = []
    with figure_style():
        for name, figure in make_figures(results):
            paths += save_figure(figure, results.folder / "figures" / name)
    if not paths:
        raise ResultsError(f"{results.folder}: expected rows of a test split to draw, got none")
    return sorted(paths)


def make_figures(results: Results) -> Iterator[tuple[str, Figure]]:
    """Yield (name, figure) of every figure the results can give; call it inside `figure_style`."""
    samples = read_samples(results.folder)
    extras = check_extras(results.options, results.name)
    class_names = tuple(results.class_names or (samples[2] if samples else ()))
    abscissa = find_abscissa(results)
    short = results.task.headline.short
    for whole in make_parts(results.rows, results.task):
        if abscissa != LABELS:  # its axis may be the one that parts are split along
            yield from _named(whole, {"scaling": plot_scaling(whole, abscissa)})
        yield from _named(whole, {"learning": plot_learning(results, whole)})
        if "pareto" in extras:
            yield from _named(whole, {"pareto": plot_pareto(results, whole)})
        for column in (c for c in whole.axes.names if c not in ALWAYS):
            yield from _named(whole, {f"{short}_vs_{column}": plot_error_vs_axis(whole, column)})
        for part in split_part(whole):
            plots = {
                f"{short}_vs_labels": plot_error_vs_labels(part, results.options.get("reported") or ()),
                "metrics_vs_group": plot_metrics_vs_group(part),
                "turned_queries": plot_turned_queries(part),
                "reliability": plot_reliability(part, results.predictions, class_names),
                "rotation": plot_rotation(part),
                "scaling": plot_scaling(part) if abscissa == LABELS else None,
                "equivariance": plot_equivariance(part),
                "risk_coverage": plot_selective(results, part) if "risk_coverage" in extras else None,
            }
            yield from _named(part, plots)
    if samples:
        yield "samples", plot_samples(*samples)


def _named(part: Part, plots: dict[str, Figure | None]) -> Iterator[tuple[str, Figure]]:
    for name, figure in plots.items():
        if figure is not None:
            yield name + part.suffix, figure
