"""The draft of the paper: every number is a cell of a committed table or stands in one, every citation has its entry.

That the marked cells are those of the tables is a test of ``tests/report/test_committed.py``.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from equirgz.report.readme import find_readmes, find_table_files

PAPER = Path(__file__).parents[2] / "docs" / "paper" / "paper.md"
TEXT = PAPER.read_text(encoding="utf-8")
BODY = TEXT.split("---\n", 2)[2]
VALUE = re.compile(r"<!-- value: .*?<!-- end -->", re.DOTALL)
NO_NUMBER = re.compile(r"\[@[^\]]*\]|`[^`]*`|~\d~|\]\([^)]*\)")  # citations, code, names of groups, links


def typed_numbers(body: str) -> set[str]:
    """Return the numbers in a text that no mark makes."""
    return set(re.findall(r"\d+(?:\.\d+)?", NO_NUMBER.sub("", VALUE.sub("", body))))


def test_every_number_stands_in_a_table_that_the_paper_copies_from():
    tables = "".join(file.read_text(encoding="utf-8") for file in set(find_table_files(PAPER, TEXT)))
    known = set(re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.]*\d)", tables))
    assert typed_numbers(BODY) <= known and len(VALUE.findall(BODY)) > 5
    assert PAPER in find_readmes(PAPER.parents[2])


def test_a_typed_number_is_found():
    assert typed_numbers("C~8~ errs in 3.5 % <!-- value: t.md: a | b -->4.2<!-- end --> [@cohen2016]") == {"3.5"}


def test_every_citation_has_an_entry_and_every_entry_is_cited():
    cited = set(re.findall(r"@([a-z]+\d{4})", BODY))
    entries = re.findall(r"^@\w+\{(\w+),", (PAPER.parent / "paper.bib").read_text(encoding="utf-8"), re.MULTILINE)
    assert cited == set(entries) and len(entries) == len(set(entries))


@pytest.mark.parametrize("heading", ["Summary", "Statement of need", "References"])
def test_it_has_the_parts_that_the_journal_asks_for(heading):
    assert f"\n# {heading}\n" in BODY and len(BODY.split()) < 1000
