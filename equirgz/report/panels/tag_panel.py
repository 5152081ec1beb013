"""How many tags tell the experts' classes, and how well each class is told. Legend: S numbers of tags, K classes."""

from __future__ import annotations

import re

import pandas as pd
from matplotlib.figure import Figure

from equirgz.report.figures.style import GREY, PAGE_IN, add_legend, figure_style, make_figure, palette, set_log_ticks


def plot_tags(rows: pd.DataFrame, classes: pd.DataFrame, *, n_terms: int, n_tags: int) -> Figure:
    """Return a Figure: F1 against the number of tags with 95 % intervals, and the F1 of every class.

    Args: rows: columns tags, metric, value, low, high, as ``equirgz tags`` writes them; classes: class, subjects and
    ``f1_N`` for both numbers of tags.
    """
    with figure_style():
        figure = make_figure(PAGE_IN, max(2.8, 0.9 + 0.16 * len(classes)))
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
        blue, orange = palette(2)
        value_of = rows.set_index("metric")["value"]
        for (name, text), colour, marker in zip(
            (("weighted", "mean weighted by subjects"), ("macro", "plain mean")), (blue, orange), "os", strict=True
        ):
            part = rows[rows["metric"] == f"tags/{name}_f1"]
            spread = [part["value"] - part["low"], part["high"] - part["value"]]
            left.errorbar(part["tags"], part["value"], spread, color=colour, marker=marker, label=text)
            if name == "weighted":
                line = 0.9 * float(part["value"][part["tags"] == n_terms].iloc[0])
                left.axhline(line, color=colour, linestyle=":", linewidth=0.9, label=f"90 % of {n_terms} terms")
        left.axhline(
            value_of["tags/weighted_f1_always"], color=GREY, linestyle="--", linewidth=0.9, label="all classes, always"
        )
        if "tags/weighted_f1_shuffled_mean" in value_of:
            low, high = value_of["tags/weighted_f1_shuffled_mean"], value_of["tags/weighted_f1_shuffled_most"]
            left.axhspan(low, high, color="0.85", linewidth=0, label="shuffled: mean to best")
        left.set(xlabel="tags", ylabel="F1 out of fold", ylim=(0, 1))
        set_log_ticks(left, {n: f"{n}" for n in rows["tags"].unique() if n and n not in (15, 35)})
        place = range(len(classes))[::-1]
        for column, colour, marker in ((f"f1_{n_terms}", blue, "o"), (f"f1_{n_tags}", orange, "D")):
            right.plot(classes[column], list(place), marker, color=colour, label=f"{column[3:]} tags")
        names = [f"{short_name(name)} ({n})" for name, n in zip(classes["class"], classes["subjects"], strict=True)]
        right.set_yticks(list(place), names)
        right.set(xlabel="F1 out of fold", xlim=(0, 1))
        right.legend(loc="lower right")
        add_legend(figure, [left])
    return figure


def short_name(name: str) -> str:
    """Return the abbreviation that a name has in brackets, else the name.

    >>> short_name("Wide-angle tail (WAT)"), short_name("Double")
    ('WAT', 'Double')
    """
    found = re.search(r"\((.+)\)$", name)
    return found[1] if found else name
