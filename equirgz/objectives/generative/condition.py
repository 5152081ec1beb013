"""What is already known of a source, as numbers that a flow is told. Legend: N sources, K numbers of the condition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from equirgz.errors import InputError, require

LEAST_PER_CLASS = 10  # fewer sources do not tell how a class is distributed


@dataclass(frozen=True)
class KnownColumn:
    """One column: its classes, or for numbers (``classes`` None) mean and standard deviation of the fitted sources."""

    name: str
    classes: tuple[str, ...] | None = None
    mean: float = 0.0
    deviation: float = 1.0

    @property
    def width(self) -> int:
        """How many numbers say it."""
        return 1 if self.classes is None else len(self.classes)

    def encode(self, value_N: np.ndarray) -> np.ndarray:
        """Return (N, width): one class of all 1, or the standardised number; InputError for an unseen class."""
        value_N = read_column(self.name, value_N)
        if self.classes is None:
            require(value_N.dtype.kind == "f", _what(self.name), expected="numbers", got=f"texts as {value_N[0]!r}")
            return ((value_N - self.mean) / self.deviation)[:, None]
        text_N = value_N.astype(str)
        unseen = sorted(set(text_N.tolist()) - set(self.classes))
        if unseen:
            expected = f"classes that the flow was fitted on ({', '.join(self.classes)})"
            mend = "leave those sources out, or fit on some of them"
            raise InputError(_what(self.name), expected=expected, got=unseen[0], mend=mend)
        return (text_N[:, None] == np.array(self.classes)).astype(np.float64)


@dataclass(frozen=True)
class Condition:
    """The columns that are known, and how each becomes numbers (:func:`learn_condition`)."""

    columns: tuple[KnownColumn, ...]

    @property
    def width(self) -> int:
        """K, how many numbers say all of it."""
        return sum(column.width for column in self.columns)

    def encode(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return condition_NK, float32; InputError for a missing column or value, or a class that was not fitted."""
        for column in self.columns:
            require(column.name in values, _what(column.name), expected="a column of that name", got=", ".join(values))
        return np.concatenate([column.encode(values[column.name]) for column in self.columns], 1).astype(np.float32)


def learn_condition(values: Mapping[str, np.ndarray]) -> Condition:
    """Return the :class:`Condition` of columns (N,): texts, bools and integers are classes, floats are numbers.

    Raises InputError without any column, for missing values (NaN, empty text), a column with one value alone, and a
    class of fewer than ten sources.
    """
    require(len(values) > 0, "condition", expected="at least one column", got="none")
    return Condition(tuple(_learn_column(name, value_N) for name, value_N in values.items()))


def _learn_column(name: str, value_N: np.ndarray) -> KnownColumn:
    value_N = read_column(name, value_N)
    if value_N.dtype.kind == "f":
        found = np.unique(value_N)
        _refuse_constant(name, found)
        require(
            len(value_N) >= LEAST_PER_CLASS, _what(name), expected=f"at least {LEAST_PER_CLASS} sources",
            got=len(value_N),
        )  # fmt: skip
        return KnownColumn(name, None, float(value_N.mean()), float(value_N.std()))
    found, counts = np.unique(value_N, return_counts=True)
    _refuse_constant(name, found)
    if counts.min() < LEAST_PER_CLASS:
        rare = f"{counts.min()} of {found[counts.argmin()]}"
        mend = "leave that class out, or join it to another"
        expected = f"at least {LEAST_PER_CLASS} sources of each class to fit on"
        raise InputError(_what(name), expected=expected, got=rare, mend=mend)
    return KnownColumn(name, tuple(found.astype(str).tolist()))


def _refuse_constant(name: str, found: np.ndarray) -> None:
    if len(found) < 2:
        mend = "a constant tells nothing; name another column"
        raise InputError(_what(name), expected="at least two values", got=f"only {found[0]}", mend=mend)


def read_column(name: str, value_N: np.ndarray) -> np.ndarray:
    """Return numbers as float64 and classes as integers or texts; InputError where a value is missing."""
    array_N = np.asarray(value_N)
    missing_N = pd.isna(array_N) | (array_N.astype(str) == "")
    if array_N.dtype.kind == "f":
        missing_N = missing_N | ~np.isfinite(array_N)
    if array_N.ndim != 1 or len(array_N) == 0:
        raise InputError(_what(name), expected="one value per source", got=f"shape {array_N.shape}")
    if missing_N.any():
        got = f"none for {int(missing_N.sum())} of {len(array_N)} sources, first at row {int(missing_N.argmax())}"
        raise InputError(_what(name), expected="a value for every source", got=got, mend="leave those sources out")
    if array_N.dtype.kind in "biuf":
        return array_N.astype(np.float64) if array_N.dtype.kind == "f" else array_N.astype(np.int64)
    return array_N.astype(str)


def _what(name: str) -> str:
    return f"condition {name}"
