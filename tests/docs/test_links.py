"""Links of the Markdown files that are no pages of the site lead to files and headings that are there.

Those of the site are checked where it is built: a link to nowhere is a warning, and that is an error.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [
    *sorted(ROOT.glob("*.md")), ROOT / "benchmarks" / "README.md", ROOT / "results" / "README.md",
    ROOT / "docs" / "paper" / "paper.md",
]  # fmt: skip
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Return what GitHub calls the headings of a Markdown text."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(path: Path) -> list[str]:
    """Return the links of a file that lead nowhere; addresses of the web are not tried."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    found = []
    for target in LINK.findall(text):
        name, _, heading = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = path.parent / name if name else path
        if not file.exists() or (heading and heading not in anchors(file.read_text(encoding="utf-8"))):
            found.append(target)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path):
    assert broken(path) == []


def test_a_broken_link_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A `b` (c)\n[x](page.md#a-b-c) [y](#no) [z](none.md) [w](https://none)\n```\n[v](none)\n```\n")
    assert broken(page) == ["#no", "none.md"]
