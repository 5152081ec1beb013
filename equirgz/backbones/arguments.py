"""Checks of what a network is built with: whole numbers, positive numbers, widths."""

from __future__ import annotations

import math
from numbers import Real

from equirgz.errors import InputError


def check_whole(what: str, value: object, minimum: int = 1) -> int:
    """Return ``value`` as an int; raise InputError unless it is a whole number, at least ``minimum``.

    65.0, "65" and True are refused: a configuration that means a number should hold that number.
    """
    expected = f"a whole number, at least {minimum}"
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        text = str(value)
        whole = text.strip().removesuffix(".0")
        mend = f"write {int(whole)}" if whole.isdecimal() and int(whole) >= minimum else f"such as {minimum}"
        raise InputError(what, expected=expected, got=f"{value!r} ({type(value).__name__})", mend=mend)
    number = value.__index__()
    if number < minimum:
        raise InputError(what, expected=expected, got=number, mend=f"use {minimum} or more")
    return number


def check_positive(what: str, value: object, mend: str) -> float:
    """Return ``value`` as a float; raise InputError unless it is a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < math.inf:
        raise InputError(what, expected="a finite number above 0", got=repr(value), mend=mend)
    return float(value)


def check_width(width: object) -> float:
    """Return ``width`` as a float; raise InputError unless it is a finite number above 0."""
    mend = "use 1 for the default field counts, 0.5 for half of them, or leave it out"
    return check_positive("width", width, mend)


def scaled_fields(fields: tuple[int, ...], width: float) -> tuple[int, ...]:
    """Return field counts times ``width``, rounded, at least 1.

    Raises InputError for a width that is not a number above 0, or counts that are not a sequence of
    whole numbers, at least 1 each.
    """
    width = check_width(width)
    if not isinstance(fields, tuple | list):
        mend = "write one number per stage, such as (8, 16)"
        raise InputError("field counts", expected="a sequence", got=repr(fields), mend=mend)
    return tuple(max(1, round(check_whole("a field count", count) * width)) for count in fields)
