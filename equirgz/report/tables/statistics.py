"""Tables of paired tests, intervals, power laws and the extras of a grid: what needs several runs or predictions."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass

from equirgz.report.figures.scaling import find_abscissa, make_scaling_table
from equirgz.report.rows.load import Results
from equirgz.report.rows.summary import Part, make_parts
from equirgz.report.tables.comparison import make_comparison
from equirgz.report.tables.extras import make_extras
from equirgz.report.tables.intervals import make_intervals
from equirgz.report.tables.sheet import Sheet


@dataclass(frozen=True)
class Statistic:
    """One such table: ``comparison_test_network``, the lines of its csv, and its printed form."""

    name: str
    part: Part
    lines: list[list[str]]
    sheet: Sheet


def make_statistics(results: Results, without: Container[str] = ()) -> Iterator[Statistic]:
    """Yield the comparison, interval and scaling tables and the extras of every test split and read-out.

    Kinds named in ``without`` are not computed (intervals take the longest).
    """
    for part in make_parts(results.rows):
        makers = {
            "comparison": lambda part=part: make_comparison(results, part),
            "intervals": lambda part=part: make_intervals(results, part),
            "scaling": lambda part=part: make_scaling_table(part, find_abscissa(results)),
        }
        made = {kind: make() for kind, make in makers.items() if kind not in without}
        for kind, found in (made | make_extras(results, part)).items():
            if found is not None:
                name = f"{kind}_{part.split}_{part.readout}{'_' + part.data if part.several else ''}"
                yield Statistic(name, part, *found)
