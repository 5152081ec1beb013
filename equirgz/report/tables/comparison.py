"""Differences from a reference row, tested over seeds and test sources at once, from stored predictions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from equirgz.metrics.compare.crossed import CrossedTest, crossed_test
from equirgz.metrics.compare.paired import adjust_holm
from equirgz.metrics.compare.source_tests import required_sources
from equirgz.report.rows.pairing import Column, Name, pair_errors, pair_rows
from equirgz.report.rows.parts import Part
from equirgz.report.rows.pooled_folds import show_folds
from equirgz.report.rows.predictions import CellPredictions
from equirgz.report.rows.results import Results
from equirgz.report.rows.table_axes import labels_text, show_labels, show_value
from equirgz.report.tables.cells import LEVEL
from equirgz.report.tables.pivot import show_difference
from equirgz.report.tables.sheet import Sheet
from equirgz.report.tables.wording import MISSING, show_rule, show_scope, show_sources

CSV_COLUMNS = ("n_labels", "augmentation", "reference", "difference", "half_width_95", "p", "p_holm", "effect_size",
               "disagreement", "n_seeds", "n_sources", "sources_needed")  # fmt: skip

MEAN: Column = (math.inf, "mean of all")  # the mean over the columns to its left, source by source


@dataclass(frozen=True)
class Difference:
    """Error (or other loss) of a row minus that of its reference in one column, of classes in per cent."""

    test: CrossedTest
    disagreement: float  # mean size over sources; of classes % that one of the two gets wrong and the other right
    p_holm: float = math.nan


def make_comparison(results: Results, part: Part) -> tuple[list[list[str]], Sheet] | None:
    """Return (lines of the csv, the printed table) of error differences; None below two comparable rows.

    Each row is compared with its references (:func:`equirgz.report.rows.pairing.find_references`), a line for each.
    """
    rows = pair_rows(results, part)
    columns = rows.columns
    found: dict[tuple[tuple[Name, Name], Column], Difference] = {}
    for names in rows.pairs:
        pairs = {column: _differences(*rows.cells_of(names, column)) for column in columns}
        pairs = {column: pair for column, pair in pairs.items() if pair is not None}
        found |= {(names, column): _test(*pair) for column, pair in pairs.items()}
        if len(pairs) > 1 and len({(runs, signed_RS.shape[1]) for runs, signed_RS, _ in pairs.values()}) == 1:
            runs = next(iter(pairs.values()))[0]
            signed, unlike = (np.mean([pair[k] for pair in pairs.values()], axis=0) for k in (1, 2))
            found[names, MEAN] = _test(runs, signed, unlike)
    if not found:
        return None
    columns = [*columns, MEAN] if any(column == MEAN for _, column in found) else columns
    adjusted = adjust_holm([d.test.p_value for d in found.values()])
    found = {
        place: Difference(d.test, d.disagreement, float(p))
        for (place, d), p in zip(found.items(), adjusted, strict=True)
    }
    return _csv_lines(found, part), _make_sheet(found, columns, part)


def _differences(
    mine: CellPredictions | None, other: CellPredictions | None
) -> tuple[tuple, np.ndarray, np.ndarray] | None:
    """Return (seeds, signed difference_RS, its size) of two cells (of classes in %); None where not comparable."""
    pair = pair_errors(mine, other)
    if pair is None:
        return None
    shared, a_RS, b_RS = pair
    return shared, a_RS - b_RS, np.abs(a_RS - b_RS)


def _test(_: tuple, signed_RS: np.ndarray, unlike_RS: np.ndarray) -> Difference:
    return Difference(crossed_test(signed_RS), float(unlike_RS.mean()))


def _needed(difference: Difference) -> int | None:
    """Return how many test sources a McNemar test of one seed needs for this difference; None for none."""
    size = abs(difference.test.mean)
    return required_sources(size, max(size, difference.disagreement)) if size > 0 else None


def _csv_lines(found: dict, part: Part) -> list[list[str]]:
    lines = [[*part.axes.names, *CSV_COLUMNS]]
    for ((name, reference), (n_labels, augmentation)), d in found.items():
        t = d.test
        numbers = [t.mean, t.half_width, t.p_value, d.p_holm, t.effect_size, d.disagreement]
        lines.append([*map(str, name), show_labels(n_labels) if n_labels < math.inf else "", augmentation,
                      " ".join(map(show_value, reference)),
                      *("" if math.isnan(x) else f"{x:.6g}" for x in numbers), str(t.n_runs), str(t.n_sources),
                      str(_needed(d) or "") if part.task.categorical and n_labels < math.inf else ""])  # fmt: skip
    return lines


def _make_sheet(found: dict, columns: list[Column], part: Part) -> Sheet:
    pairs = list(dict.fromkeys(pair for pair, _ in found))
    lines, bold = [], set()
    for i, pair in enumerate(pairs):
        cells = []
        for j, column in enumerate(columns):
            d = found.get((pair, column))
            cells.append(_words(d, 1 if part.task.headline.unit == "%" else 3))
            if d is not None and d.p_holm < LEVEL:
                bold.add((i, len(part.axes.names) + 1 + j))
        lines.append([*map(show_value, pair[0]), " ".join(map(show_value, pair[1])), *cells])
    header = [*part.axes.names, "minus", *(a for _, a in columns)]
    upper = [*[""] * (len(part.axes.names) + 1), *(_labels(n) for n, _ in columns)]
    headline = part.task.headline
    some, folds = next(iter(found.values())).test, show_folds(part.rows)
    caption = [
        f"Difference of the {headline.per_source} ({headline.per_source_words}; below 0: the row errs less than the "
        "one named under minus)",
        f"Data {part.data}, split {part.split} ({show_sources(some.n_sources, folds)}), read-out {part.readout}",
        "Networks of different folds share training sources, which the intervals do not count" if folds else "",
        "Last column: the mean over the others, source by source" if MEAN in columns else "",
        f"Mean ± half-width of the {show_scope(d.test.n_runs for d in found.values())}; p of no difference in "
        f"brackets, after Holm over the table; bold where p < {LEVEL:g}",
        _sources_needed(found) if part.task.categorical else "",
        show_rule(part.rows["selection_rule"]),
    ]
    caption = [sentence for sentence in caption if sentence]
    unit = "" if headline.per_source_unit == "1" else f" ({headline.per_source_unit})"
    words = f"Difference of the {headline.per_source}{unit}"
    return Sheet(words, len(part.axes.names) + 1, header, upper, lines, caption, bold,
                 label=f"comparison-{part.split}-{part.readout}")  # fmt: skip


def _sources_needed(found: dict) -> str:
    """Return the sentence that tells how many test sources small differences need, at this disagreement."""
    disagreement = float(np.median([d.disagreement for (_, c), d in found.items() if c != MEAN]))
    needs = [str(required_sources(x, max(x, disagreement))) for x in (1, 2, 5)]
    return (
        f"At the median disagreement of {disagreement:.1f} % of sources, differences of 1, 2 and 5 % need "
        f"{', '.join(needs[:2])} and {needs[2]} test sources (McNemar test, one seed, 80 % power)"
    )


def _words(difference: Difference | None, digits: int) -> str:
    return MISSING if difference is None else show_difference(difference.test, difference.p_holm, digits)


def _labels(n_labels: float) -> str:
    return "" if n_labels == math.inf else labels_text(n_labels)
