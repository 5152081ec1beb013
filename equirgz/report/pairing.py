"""Which rows of a table are compared with which, and over which seeds: shared by all tables of differences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equirgz.report.axes import Axes, sort_values
from equirgz.report.load import Results
from equirgz.report.pool import Cell, pool_predictions
from equirgz.report.summary import ALL_LABELS, Part

Column = tuple[float, str]  # label count, augmentation


@dataclass(frozen=True)
class Pairing:
    """Rows and columns of a table in order, the reference of each row, and the stored predictions of each place."""

    names: list[tuple]
    columns: list[Column]
    reference: dict[tuple, tuple]
    cells: dict[tuple, Cell]

    def cells_of(self, name: tuple, column: Column) -> tuple[Cell | None, Cell | None]:
        """Return the cell of a row and that of its reference, None where there is none."""
        return self.cells.get((name, *column)), self.cells.get((self.reference[name], *column))

    @property
    def compared(self) -> list[tuple]:
        """Rows that are not their own reference."""
        return [name for name in self.names if name != self.reference[name]]


def pair_rows(results: Results, part: Part) -> Pairing:
    """Pair each row with the plain network (group C1) that shares its other names, else with the first row."""
    cells = pool_predictions(results, part)
    labels = part.axes.sort(part.rows[part.rows["metric"] == "error/rate"])
    names = [tuple(row) for row in labels.itertuples(index=False, name=None)]
    columns = [(n, a) for n in sorted({p[1] for p in cells}, key=lambda n: (n == ALL_LABELS, n))
               for a in sort_values({p[2] for p in cells}, "augmentation")]  # fmt: skip
    return Pairing(names, columns, {name: find_reference(name, names, part.axes) for name in names}, cells)


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


def share_seeds(mine: Cell | None, other: Cell | None) -> tuple:
    """Return the seeds that two cells of the same test sources have in common; () where they cannot be compared."""
    if mine is None or other is None or not same_sources(mine, other):
        return ()
    return tuple(sorted(set(mine.pairs) & set(other.pairs)))


def same_sources(mine: Cell, other: Cell) -> bool:
    """Return whether two cells answer for the same test sources, as their targets tell."""
    return np.array_equal(mine.target_S, other.target_S)
