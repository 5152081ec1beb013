"""What is added to a similarity for being recent, cited, or on the asked keywords. Legend: N rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from equirgz.errors import InputError, require

YEARS = 10.0


@dataclass(frozen=True)
class Weights:
    """Weights of three numbers in [0, 1] that each row may have; the sum is added to the cosine.

    time: ``exp(-age / years)``, age in years before ``now``, from the column ``year``. citations: ``ln(1 + c)`` over
    that of the most cited row, from ``citations``. keywords: the share of the asked ones that the column ``keywords``
    ("a; b; c") holds. Unknown cells count as the mean of the known ones, and so neither help nor harm.
    """

    time: float = 0.0
    citations: float = 0.0
    keywords: float = 0.0
    years: float = YEARS

    def __post_init__(self) -> None:
        for name in ("time", "citations", "keywords"):
            value = getattr(self, name)
            if not np.isfinite(value) or value < 0:
                raise InputError(f"weight of {name}", expected="a number >= 0", got=value)
        require(self.years > 0, "years", expected="> 0", got=self.years)

    def add(self, table: pd.DataFrame, *, now: float | None = None, keywords: Sequence[str] = ()) -> np.ndarray:
        """Return weight_N of the rows of ``table``.

        Raises InputError for a column that a weight needs and the table lacks, dates after ``now`` (default: the
        newest row), negative counts, and a weight of keywords where none is asked for.
        """
        total_N = np.zeros(len(table))
        if self.time:
            year_N = _numbers(table, "year")
            now = float(np.nanmax(year_N)) if now is None else now
            late = year_N > now
            if late.any():
                got = f"{year_N[late][0]:g} and {late.sum() - 1} more" if late.sum() > 1 else f"{year_N[late][0]:g}"
                raise InputError("dates", expected=f"none after {now:g}", got=got)
            total_N += self.time * _known(np.exp(-(now - year_N) / self.years))
        if self.citations:
            count_N = _numbers(table, "citations")
            if (count_N < 0).any():
                raise InputError("citations", expected="counts >= 0", got=np.nanmin(count_N))
            most = np.log1p(np.nanmax(count_N))
            total_N += self.citations * _known(np.log1p(count_N) / (most if most > 0 else 1.0))
        if self.keywords:
            asked = {word.strip().lower() for word in keywords if word.strip()}
            require(len(asked) > 0, "weight of keywords", expected="keywords that are asked for", got="none")
            total_N += self.keywords * np.array([len(asked & own) / len(asked) for own in keyword_sets(table)])
        return total_N


def keyword_sets(table: pd.DataFrame) -> list[set[str]]:
    """Return the keywords of each row, in lower case; they stand in one cell, apart by semicolons or commas."""
    cells = _column(table, "keywords").fillna("").astype(str)
    return [{word.strip().lower() for word in cell.replace(",", ";").split(";") if word.strip()} for cell in cells]


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    if name not in table.columns:
        raise InputError(f"column {name!r}", expected="one in the table", got=", ".join(map(str, table.columns)))
    return table[name]


def _numbers(table: pd.DataFrame, name: str) -> np.ndarray:
    value_N = pd.to_numeric(_column(table, name), errors="coerce").to_numpy(np.float64)
    require(np.isfinite(value_N).any(), f"column {name!r}", expected="some numbers", got="none")
    return value_N


def _known(value_N: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(value_N), value_N, np.nanmean(value_N))
