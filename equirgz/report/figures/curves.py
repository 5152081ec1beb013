"""Error against label count."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from equirgz.report.figures.looks import limit_from_zero, make_looks, summarise
from equirgz.report.figures.style import add_legend, make_panels, set_log_ticks
from equirgz.report.rows.parts import Part, label_counts
from equirgz.report.rows.table_axes import ALL_LABELS, sort_values

MAX_FACETS = 4
YLABELS = {
    "calibration/ece": "ECE",
    "calibration/brier": "Brier score",
    "nll/mean": "NLL (nat)",
}


def facet_title(augmentation: str, facets: list[str]) -> str:
    """Return the title of a panel; none where there is only one."""
    return f"augmentation: {augmentation}" if len(facets) > 1 else ""


def find_published(part: Part, reported: Iterable[Mapping[str, Any]]) -> list[tuple[float, float, str]]:
    """Return (label count, value, paper) of the entries of ``report.reported`` that this figure can show.

    Those of the part's headline, split, data and read-out, and with both numbers; their rows do not matter here.
    """
    scope = {"data": part.data, "split": part.split, "readout": part.readout, "metric": part.task.headline.metric}
    found = []
    for entry in reported:
        paper = re.search(r"arXiv \d{4}\.\d+", entry["source"])
        whole = {"split": "test", "readout": "network", "metric": scope["metric"], "data": scope["data"], **entry}
        numbers = whole.get("n_labels"), whole["value"]
        if all(whole[key] == value for key, value in scope.items()) and all(
            isinstance(x, (int, float)) for x in numbers
        ):
            found.append((float(numbers[0]), float(numbers[1]), paper[0] if paper else str(entry["source"])))
    return found


def plot_error_vs_labels(part: Part, reported: Iterable[Mapping[str, Any]] = ()) -> Figure | None:
    """Return the headline (test error) against label count: a panel per augmentation, a line per series.

    Published numbers with a label count are stars. None below two counts.
    """
    rows = part.headline
    counts = label_counts(rows)
    if len(counts) < 2:
        return None
    facets = sort_values(rows["augmentation"], "augmentation")[:MAX_FACETS]
    looks = make_looks(rows, part.axes)
    figure, panels = make_panels(1, len(facets), sharey=True, panel_height_in=2.2)
    published = find_published(part, reported)
    place = {n: 10 ** (np.log10(counts[-2]) + 0.3) if n == ALL_LABELS else n for n in counts}
    for panel, augmentation in zip(panels[0], facets, strict=True):
        means = summarise(
            rows[rows["augmentation"] == augmentation].assign(n_labels=lambda f: f["n_labels"].fillna(ALL_LABELS)),
            [*part.axes.names, "n_labels"],
        )
        for k, (values, look) in enumerate(looks.items()):
            line = means[(means[list(part.axes.names)] == list(values)).all(axis=1)]
            line = line.assign(x=line["n_labels"].map(place)).sort_values("x")
            shift = 1.018 ** (k - (len(looks) - 1) / 2)  # keeps error bars apart
            panel.errorbar(
                line["x"] * shift,
                line["mean"],
                line["half_width"].fillna(0),
                **look.point,
                linestyle=look.linestyle,
                label=look.name,
                elinewidth=0.8,
            )
        for n_labels, value, paper in published:
            panel.plot(n_labels, value, "k*", markersize=6, linestyle="none", label=f"published, {paper}")
        set_log_ticks(panel, {place[n]: "all" if n == ALL_LABELS else str(int(n)) for n in counts})
        panel.set_xlabel("labelled training sources")
        panel.set_title(facet_title(augmentation, facets))
    limit_from_zero(panels[0], rows, part.axes)
    panels[0][0].set_ylabel(part.task.headline.axis)
    add_legend(figure, panels[0], [look.name for look in looks.values()])
    return figure
