"""McNemar's test of each row against its reference, and how many test sources it would take to tell them apart.

From stored predictions. Legend: R runs (seeds), S sources.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from equirgz.metrics.compare.paired import adjust_holm
from equirgz.metrics.compare.source_tests import McNemarTest, mcnemar_test, required_sources
from equirgz.report.rows.pairing import Column, pair_rows, share_seeds
from equirgz.report.rows.parts import Part
from equirgz.report.rows.pooled_folds import show_folds
from equirgz.report.rows.predictions import CellPredictions
from equirgz.report.rows.results import Results
from equirgz.report.rows.table_axes import labels_text, show_labels, show_value
from equirgz.report.tables.cells import LEVEL
from equirgz.report.tables.pivot import show_p
from equirgz.report.tables.sheet import Sheet
from equirgz.report.tables.wording import MISSING, show_rule, show_sources

CSV_COLUMNS = ("n_labels", "augmentation", "reference", "only_row_wrong", "only_reference_wrong", "difference", "p",
               "p_holm", "n_seeds", "n_sources")  # fmt: skip
DIFFERENCES = (1.0, 2.0, 3.0, 5.0)  # of error, %


@dataclass(frozen=True)
class Tested:
    """The test of one place, the seeds whose probabilities were averaged, and p after Holm over the table."""

    test: McNemarTest
    n_seeds: int
    p_holm: float = 1.0


Place = tuple[tuple, Column]  # (the row's name, its reference's), and the column


def compare_answers(results: Results, part: Part) -> dict[Place, Tested]:
    """Return the test of every row against its reference, per column; {} below two comparable rows.

    Each row meets the references that the comparison table gives it. An answer is the most probable class of the
    mean probability over the seeds that both have: one ensemble against another, each source counted once.
    """
    rows = pair_rows(results, part)
    found = {}
    for pair in rows.pairs:
        for column in rows.columns:
            tested = _test(*rows.cells_of(pair, column))
            if tested is not None:
                found[pair, column] = tested
    adjusted = adjust_holm([tested.test.p_value for tested in found.values()]) if found else []
    return {place: replace(tested, p_holm=float(p)) for (place, tested), p in zip(found.items(), adjusted, strict=True)}


def make_mcnemar(results: Results, part: Part) -> tuple[list[list[str]], Sheet] | None:
    """Return (lines of the csv, the printed table) of exact McNemar tests; None below two comparable rows."""
    found = compare_answers(results, part)
    if not found:
        return None
    csv = [[*part.axes.names, *CSV_COLUMNS]]
    for ((name, reference), (n_labels, augmentation)), tested in found.items():
        t = tested.test
        numbers = (f"{x:.6g}" for x in (t.difference_percent, t.p_value, tested.p_holm))
        csv.append([*map(str, name), show_labels(n_labels), augmentation,
                    " ".join(map(show_value, reference)), str(t.only_first), str(t.only_second), *numbers,
                    str(tested.n_seeds), str(t.n)])  # fmt: skip
    return csv, _make_sheet(found, pair_rows(results, part).columns, part)


def _test(mine: CellPredictions | None, other: CellPredictions | None) -> Tested | None:
    """Return the test of two cells over the seeds they share; None where they cannot be compared."""
    shared = share_seeds(mine, other)
    if not shared:
        return None
    wrong = []
    for cell in (mine, other):
        mean_SK = cell.probability_RSK[[cell.pairs.index(pair) for pair in shared]].mean(0)
        wrong.append(mean_SK.argmax(1) != cell.target_S)
    return Tested(mcnemar_test(*wrong), len(shared))


def _make_sheet(found: dict, columns: list[Column], part: Part) -> Sheet:
    pairs = list(dict.fromkeys(pair for pair, _ in found))
    n_names = len(part.axes.names) + 1
    lines, bold = [], set()
    for i, pair in enumerate(pairs):
        cells = []
        for j, column in enumerate(columns):
            tested = found.get((pair, column))
            cells.append(MISSING if tested is None else _words(tested))
            if tested is not None and tested.p_holm < LEVEL:
                bold.add((i, n_names + j))
        lines.append([*map(show_value, pair[0]), " ".join(map(show_value, pair[1])), *cells])
    some, folds = next(iter(found.values())), show_folds(part.rows)
    caption = [
        "McNemar test: sources that the row alone gets wrong, against those that only the one named under against does",
        f"Data {part.data}, split {part.split} ({show_sources(some.test.n, folds)}), read-out {part.readout}",
        "Networks of different folds share training sources, which the test does not count" if folds else "",
        "Answers of the mean probability over the seeds that both have, so the test says nothing of other seeds",
        f"Exact two-sided p of no difference in brackets, after Holm over the table; bold where p < {LEVEL:g}",
        show_rule(part.rows["selection_rule"]),
    ]
    header = [*part.axes.names, "against", *(augmentation for _, augmentation in columns)]
    upper = [*[""] * n_names, *(labels_text(n_labels) for n_labels, _ in columns)]
    return Sheet("McNemar test", n_names, header, upper, lines, [sentence for sentence in caption if sentence], bold,
                 label=f"mcnemar-{part.split}-{part.readout}")  # fmt: skip


def _words(tested: Tested) -> str:
    return f"{tested.test.only_first} : {tested.test.only_second} ({show_p(tested.p_holm)})"


def make_needed(results: Results, part: Part) -> tuple[list[list[str]], Sheet] | None:
    """Return (lines of the csv, the printed table) of :func:`needed`; None below two comparable rows."""
    found = compare_answers(results, part)
    if not found:
        return None
    lines = []
    for ((name, reference), (n_labels, augmentation)), tested in found.items():
        place = [*map(show_value, name), " ".join(map(show_value, reference)), show_labels(n_labels), augmentation]
        numbers = [tested.test.difference_percent, disagreement(tested.test)]
        lines.append([*place, *(f"{x:.1f}".replace("-", "−") for x in numbers), str(tested.test.n),
                      *map(str, needed(tested.test))])  # fmt: skip
    header = [*part.axes.names, "against", "labels", "augmentation", "error difference (%)", "disagreement (%)",
              "n", *(f"for {d:g} %" for d in DIFFERENCES), "for the measured"]  # fmt: skip
    caption = [
        "Test sources needed to tell a difference of error by McNemar's test, with power 0.8 at level 0.05",
        f"Data {part.data}, split {part.split}, read-out {part.readout}",
        "At the measured disagreement, the share of sources that one of the two gets wrong and the other right, or the "
        "difference where that is larger; –: no difference was measured",
    ]
    csv = [header, *([cell.replace("−", "-").replace("–", "") for cell in line] for line in lines)]
    label = f"needed-{part.split}-{part.readout}"
    return csv, Sheet(
        "Needed sources", len(part.axes.names) + 3, header, [""] * len(header), lines, caption, label=label
    )


def disagreement(test: McNemarTest) -> float:
    """Return the share (%) of sources that one of the two gets wrong and the other right."""
    return 100.0 * (test.only_first + test.only_second) / test.n


def needed(test: McNemarTest) -> list[int | str]:
    """Return the sources needed for each of ``DIFFERENCES``, then for the measured one ("–" where it is 0)."""
    measured = abs(test.difference_percent)
    sizes = [*DIFFERENCES, measured]
    return ["–" if size < 1e-9 else required_sources(size, max(size, disagreement(test))) for size in sizes]
