"""The page of claims: each has a verdict in words that it defines, numbers from tables, and a test where it holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "claims.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+?) \| (\d{4}\.\d{5}) \| (.+?) \|$", TEXT, re.MULTILINE)
VALUE = re.compile(r"<!-- value: (\S+): ([^\n]+?) -->(.*?)<!-- end -->", re.DOTALL)
VERDICTS = re.compile(r"\*(Holds|Does not hold|Cannot be told|Seen) here\b|cannot be told here")


def find_paragraph(text: str, claim: str, paper: str) -> str:
    """Return the paragraph that begins with the claim in bold and names its paper; two claims may share one."""
    parts = [part for part in text.split("\n\n") if part.startswith("**")]
    found = [part for part in parts if claim.lower() in part.split("**")[1].lower() and paper in part]
    assert len(found) == 1, (claim, len(found))
    return found[0]


def is_told(file: str, place: str, cell: str) -> bool:
    """Return whether a cell is that of a test which tells something: p below 0.05, or rows apart from the best."""
    if "/comparison_" in file:
        p = re.search(r"\((<?)([\d.]+)\)$", cell)
        return p is not None and float(p[2]) < 0.05
    if place.startswith("best (told apart from)"):
        return "(from " in cell
    return place.endswith("| band") or ("p_value" in place and float(cell) < 0.05)


@pytest.mark.parametrize(("claim", "paper", "verdict"), ROWS, ids=[claim for claim, *_ in ROWS])
def test_each_claim_has_a_verdict_and_where_it_holds_or_does_not_a_test_that_tells_so(claim, paper, verdict):
    paragraph = find_paragraph(TEXT, claim, paper)
    values = VALUE.findall(paragraph)
    assert VERDICTS.search(paragraph) and (values or verdict == "cannot be told")
    if re.match("holds|does not hold", verdict):
        assert any(is_told(*value) for value in values) and "figure](" in paragraph


def test_a_verdict_without_such_a_test_is_found():
    assert len(ROWS) >= 15
    assert is_told("g/comparison_test.md", "D4 | 50 labels", "−1.5 ± 1.0 (<0.001)")
    assert not is_told("g/comparison_test.md", "D4 | 50 labels", "−1.5 ± 1.0 (0.06)")
    assert not is_told("g/error_rate.md", "D4 | 50 labels", "1.5")
    assert not is_told("g/error_rate.md", "best (told apart from) | 50 labels", "D4 (not told apart)")
