"""Tables of paired tests, intervals, power laws and the extras of a grid: what needs several runs or predictions."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from equirgz.errors import ResultsError
from equirgz.report.rows.parts import Part, make_parts
from equirgz.report.rows.results import Results
from equirgz.report.tables.comparison import make_comparison
from equirgz.report.tables.extras import find_extras
from equirgz.report.tables.intervals import make_intervals
from equirgz.report.tables.power_laws import find_abscissa, make_scaling_table
from equirgz.report.tables.sheet import Sheet

STATISTICS = ("comparison", "intervals", "scaling")


@dataclass(frozen=True)
class Statistic:
    """One such table: ``comparison_test_network``, the lines of its csv, and its printed form."""

    name: str
    part: Part
    lines: list[list[str]]
    sheet: Sheet


def make_statistics(
    results: Results, *, without: Container[str] = (), only: Container[str] | None = None, also: Iterable[str] = ()
) -> Iterator[Statistic]:
    """Yield the comparison, interval and scaling tables and the extras of every test split and read-out.

    Args: without: kinds that are not computed (intervals take the longest). only: names of those to compute, None
    for all. also: extras to compute that the grid does not ask for.
    """
    for part in make_parts(results.rows, results.task):
        makers = {
            "comparison": partial(make_comparison, results, part),
            "intervals": partial(make_intervals, results, part),
            "scaling": partial(_scale, results, part),
        }
        makers |= find_extras(results, part, also)
        for kind, make in makers.items():
            name = _name(kind, part)
            asked = kind not in without and (only is None or name in only)
            found = make() if asked else None
            if found is not None:
                yield Statistic(name, part, *found)


def _scale(results: Results, part: Part) -> tuple[list[list[str]], Sheet] | None:
    return make_scaling_table(part, find_abscissa(results))


def find_statistic(
    results: Results, kind: str, split: str = "test", readout: str | None = None, data: str | None = None
) -> Statistic:
    """Return one such table; without ``readout`` that of the network, without ``data`` of the first data set.

    An extra need not have been asked for by the grid. Raises: ResultsError where there is none.
    """
    parts = [p for p in make_parts(results.rows, results.task) if p.split == split and data in (None, p.data)]
    parts = [p for p in parts if p.readout == (readout or "network")]
    names = [_name(kind, part) for part in parts]
    for name in names:
        for found in make_statistics(results, only=(name,), also=(kind,)):
            return found
    where = f"{kind} on {split} ({readout or 'network'}{f', {data}' if data else ''})"
    mend = "it needs predictions.csv.gz and several runs, and an extra a task whose answers are classes"
    raise ResultsError(f"{results.folder}", expected=where, got="none", mend=mend)


def _name(kind: str, part: Part) -> str:
    return f"{kind}_{part.split}_{part.readout}{'_' + part.data if part.several else ''}"
