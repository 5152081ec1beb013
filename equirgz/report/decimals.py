"""Decimals in the sentences of a page that no mark makes: typed by a hand, where committed tables should give them.

A page asks for the check with a comment, in which the entries that still hold such numbers are listed::

    <!-- every decimal is marked -->                           a value made by :mod:`equirgz.report.readme`
    <!-- every decimal is marked, except in NAME, NAME -->     but in the entries of these names

An entry begins as ``- **NAME**`` and ends where the next begins, or at a heading. Decimals in code (settings, aims), in
addresses of links and in arXiv numbers are no results.
"""

from __future__ import annotations

import re
from pathlib import Path

from equirgz.errors import ResultsError

_ASKED = re.compile(r"<!-- every decimal is marked(?:, except in ([^\n]+?))? -->")
_NO_PROSE = re.compile(
    r"<!-- (?:table|figure|index|value): [^\n]+? -->.*?<!-- end -->"  # made from tables
    r"|^```.*?^```$|`[^`]*`|\]\([^)\s]+\)|<!--.*?-->|\b\d{4}\.\d{5}\b",
    re.DOTALL | re.MULTILINE,
)
_ENTRY = re.compile(r"^(?:- \*\*([\w/]+)|#+ )", re.MULTILINE)
_DECIMAL = re.compile(r"(?<![\w.])\d+\.\d+(?!\.?\d)")


def find_typed_decimals(text: str) -> dict[str, list[str]]:
    """Return {name of the entry: its typed decimals}; those outside of entries stand under "".

    >>> find_typed_decimals("- **a** errs on 3.5 %, as `lr 0.1`\\n- **b** <!-- value: t.md: x | y -->1.2<!-- end -->")
    {'a': ['3.5']}
    """
    found: dict[str, list[str]] = {}
    prose = _NO_PROSE.sub(" ", text)
    starts = list(_ENTRY.finditer(prose))
    ends = [start.start() for start in starts] + [len(prose)]
    parts = [
        ("", prose[: ends[0]]),
        *((s[1] or "", prose[s.start() : e]) for s, e in zip(starts, ends[1:], strict=True)),
    ]
    for name, part in parts:
        if decimals := _DECIMAL.findall(part):
            found.setdefault(name, []).extend(decimals)
    return found


def check_decimals(path: Path, text: str) -> frozenset[str] | None:
    """Check a page that asks for it; return the names of the entries that it excepts, None where it does not ask.

    Raises: ResultsError for a typed decimal elsewhere, and for an excepted entry that holds none, so that the list
    can only shrink.
    """
    asked = _ASKED.search(text)
    if asked is None:
        return None
    excepted = frozenset(name.strip() for name in (asked[1] or "").split(",") if name.strip())
    found = find_typed_decimals(text)
    for name in found:
        if name not in excepted:
            raise ResultsError(
                f"{path}: {name or 'text outside of entries'}",
                expected="decimals that are marked values",
                got=", ".join(found[name]),
                mend="mark them as <!-- value: FILE: ROW | COLUMN --><!-- end -->; settings and aims stand in `code`",
            )
    if done := sorted(excepted - set(found)):
        raise ResultsError(
            f"{path}: decimals",
            expected="exceptions with typed decimals",
            got=f"{', '.join(done)} without any",
            mend="take them off the list",
        )
    return excepted
