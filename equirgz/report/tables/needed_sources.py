"""How many test sources it would take to tell rows of a table apart, from stored predictions."""

from __future__ import annotations

from equirgz.metrics.compare.source_tests import McNemarTest, required_sources
from equirgz.report.rows.parts import Part
from equirgz.report.rows.results import Results
from equirgz.report.rows.table_axes import show_labels, show_value
from equirgz.report.tables.mcnemar import compare_answers
from equirgz.report.tables.sheet import Sheet

DIFFERENCES = (1.0, 2.0, 3.0, 5.0)  # of error, %


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
