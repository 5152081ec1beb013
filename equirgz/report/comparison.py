"""Differences from a reference row, tested over seeds and test sources at once, from stored predictions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from equirgz.metrics.crossed import CrossedTest, crossed_test
from equirgz.metrics.paired import adjust_holm
from equirgz.metrics.source_tests import required_sources
from equirgz.report.axes import Axes, show_value, sort_values
from equirgz.report.cells import LEVEL
from equirgz.report.load import Results
from equirgz.report.pool import pool_predictions
from equirgz.report.sheet import Sheet
from equirgz.report.summary import ALL_LABELS, Part, labels_text
from equirgz.report.wording import MISSING, show_rule

CSV_COLUMNS = ("n_labels", "augmentation", "reference", "difference", "half_width_95", "p", "p_holm", "effect_size",
               "disagreement", "n_seeds", "n_sources", "sources_needed")  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """Error of a row minus that of its reference in one column, in per cent."""

    test: CrossedTest
    disagreement: float  # % of sources that one of the two gets wrong and the other right
    p_holm: float = math.nan


def make_comparison(results: Results, part: Part) -> tuple[list[list[str]], Sheet] | None:
    """Return (lines of the csv, the printed table) of error differences; None below two comparable rows.

    Each row is compared with the plain network (group C1) that shares its other names, else with the first row.
    """
    cells = pool_predictions(results, part)
    labels = part.axes.sort(part.rows[part.rows["metric"] == "error/rate"])
    names = [tuple(row) for row in labels.itertuples(index=False, name=None)]
    columns = [(n, a) for n in sorted({p[1] for p in cells}, key=lambda n: (n == ALL_LABELS, n))
               for a in sort_values({p[2] for p in cells}, "augmentation")]  # fmt: skip
    reference = {name: find_reference(name, names, part.axes) for name in names}
    found = {}
    for name in names:
        for column in columns:
            pair = [cells.get((of, *column)) for of in (name, reference[name])]
            if name != reference[name] and None not in pair:
                found[name, column] = _compare(*pair)
    found = {place: difference for place, difference in found.items() if difference is not None}
    if not found:
        return None
    adjusted = adjust_holm([d.test.p_value for d in found.values()])
    found = {
        place: Difference(d.test, d.disagreement, float(p))
        for (place, d), p in zip(found.items(), adjusted, strict=True)
    }
    return _csv_lines(found, reference, part.axes), _make_sheet(found, reference, columns, part)


def find_reference(name: tuple, names: list[tuple], axes: Axes) -> tuple:
    """Return the row that ``name`` is compared with; itself where it is the reference."""
    group = axes.names.index("group")
    plain = [other for other in names if other[group] == "C1"]
    twins = [
        other
        for other in plain
        if all(a == b for i, (a, b) in enumerate(zip(other, name, strict=True)) if i != group)
    ]
    if name in plain:
        return plain[0]
    return (twins or plain or names)[0]


def _compare(mine: object, other: object) -> Difference | None:
    shared = sorted(set(mine.pairs) & set(other.pairs))
    if not shared or mine.target_S.shape != other.target_S.shape or (mine.target_S != other.target_S).any():
        return None
    a_RS, b_RS = (cell.wrong_RS[[cell.pairs.index(pair) for pair in shared]] for cell in (mine, other))
    if a_RS.shape[1] < 2:
        return None
    return Difference(crossed_test(100 * (a_RS - b_RS)), float(100 * (a_RS != b_RS).mean()))


def _needed(difference: Difference) -> int | None:
    """Return the sources a McNemar test of one seed would need for this difference; None where there is none."""
    size = abs(difference.test.mean)
    return required_sources(size, max(size, difference.disagreement)) if size > 0 else None


def _csv_lines(found: dict, reference: dict, axes: Axes) -> list[list[str]]:
    lines = [[*axes.names, *CSV_COLUMNS]]
    for (name, (n_labels, augmentation)), d in found.items():
        t = d.test
        numbers = [t.mean, t.half_width, t.p_value, d.p_holm, t.effect_size, d.disagreement]
        lines.append([*map(str, name), labels_text(n_labels).split()[0], augmentation,
                      " ".join(map(show_value, reference[name])),
                      *("" if math.isnan(x) else f"{x:.6g}" for x in numbers), str(t.n_runs), str(t.n_sources),
                      str(_needed(d) or "")])  # fmt: skip
    return lines


def _make_sheet(found: dict, reference: dict, columns: list[tuple[float, str]], part: Part) -> Sheet:
    names = list(dict.fromkeys(name for name, _ in found))
    lines, bold = [], set()
    for i, name in enumerate(names):
        cells = []
        for j, column in enumerate(columns):
            d = found.get((name, column))
            cells.append(_words(d))
            if d is not None and d.p_holm < LEVEL:
                bold.add((i, len(part.axes.names) + 1 + j))
        lines.append([*map(show_value, name), " ".join(map(show_value, reference[name])), *cells])
    header = [*part.axes.names, "minus", *(a for _, a in columns)]
    upper = [*[""] * (len(part.axes.names) + 1), *(labels_text(n) for n, _ in columns)]
    disagreement = float(np.median([d.disagreement for d in found.values()]))
    needs = [f"{required_sources(x, max(x, disagreement))} for {x} %" for x in (1, 2, 5)]
    some = next(iter(found.values())).test
    caption = [
        "Difference of the error (error/rate in %; below 0: the row errs less than the one named under minus)",
        f"Data {part.data}, split {part.split} (n = {some.n_sources} sources), read-out {part.readout}",
        "Mean ± half-width of the 95 % interval for other seeds and other test sources; p of no difference in "
        f"brackets, after Holm over the table; bold where p < {LEVEL:g}",
        f"At the median disagreement of {disagreement:.1f} % of sources, a McNemar test at 80 % power needs "
        f"{', '.join(needs)} test sources of difference",
        show_rule(part.rows["selection_rule"]),
    ]
    return Sheet("Difference of the error (%)", len(part.axes.names) + 1, header, upper, lines, caption, bold,
                 label=f"comparison-{part.split}-{part.readout}")  # fmt: skip


def _words(difference: Difference | None) -> str:
    if difference is None:
        return MISSING
    t = difference.test
    if math.isnan(t.half_width):
        return f"{t.mean:+.1f}".replace("-", "−")
    p = "<0.001" if difference.p_holm < 0.001 else f"{difference.p_holm:.2g}"
    return f"{t.mean:+.1f} ± {t.half_width:.1f} ({p})".replace("-", "−")
