"""The risk-coverage figure of a grid, from stored predictions."""

from __future__ import annotations

from matplotlib.figure import Figure

from equirgz.report.figures.curves import MAX_FACETS
from equirgz.report.figures.looks import make_looks
from equirgz.report.figures.networks import plot_risk_coverage
from equirgz.report.rows.pairing import same_sources
from equirgz.report.rows.parts import Part, label_counts
from equirgz.report.rows.predictions import find_predictions
from equirgz.report.rows.results import Results
from equirgz.report.rows.table_axes import show_labels, sort_values


def plot_selective(results: Results, part: Part) -> Figure | None:
    """Return the error of the surest sources against their share: a panel per augmentation, a line per series.

    The largest label count; curves are means over seeds. Series whose sources differ from those of the first
    are left out. None without predictions. Call it inside `figure_style`.
    """
    rows = part.headline
    if not part.task.categorical:
        return None
    cells = find_predictions(results, part)
    if rows.empty or not cells:
        return None
    n_labels = label_counts(rows)[-1]
    looks = make_looks(rows, part.axes)
    answers = {}
    for augmentation in sort_values(rows["augmentation"], "augmentation")[:MAX_FACETS]:
        found = {look.name: cells.get((tuple(values), n_labels, augmentation)) for values, look in looks.items()}
        found = {name: cell for name, cell in found.items() if cell is not None}
        if not found:
            continue
        first = next(iter(found.values()))
        alike = {name: cell.probability_RSK for name, cell in found.items() if same_sources(cell, first)}
        answers[f"{show_labels(n_labels)} labels, {augmentation}"] = alike, first.target_S
    lines = {look.name: {**look.point, "linestyle": look.linestyle} for look in looks.values()}
    return plot_risk_coverage(answers, lines) if answers else None
