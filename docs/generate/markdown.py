"""Words and tables in Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any

ARXIV = re.compile(r"arXiv[: ]*(\d{4}\.\d{4,5})")


def cell(value: object) -> str:
    """Return text that stands in one cell of a table."""
    return " ".join(str(value).split()).replace("|", "\\|") or "–"


def code(value: object) -> str:
    """Return text as code, a dash where there is none."""
    text = " ".join(str(value).split()).replace("|", "\\|")
    return f"`{text}`" if text else "–"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown already."""
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join(':--' for _ in head)} |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows), ""])


def plain(text: str) -> str:
    """Return a piece of a docstring as Markdown: roles and double backticks become code, arXiv numbers links."""
    text = re.sub(r":\w+:`[~.]?([^`]+)`", r"``\1``", " ".join(text.split()))
    parts = re.split(r"(``.+?``)", text)
    return "".join(f"`{part[2:-2]}`" if part.startswith("``") else _escape(part) for part in parts)


def sources(thing: Any) -> list[str]:
    """Return the arXiv numbers that the docstring of ``thing`` names, then those of its module."""
    module = inspect.getmodule(inspect.unwrap(thing))
    texts = (inspect.getdoc(thing) or "", (module and module.__doc__) or "")
    return list(dict.fromkeys(number for text in texts for number in ARXIV.findall(text)))


def link(number: str) -> str:
    """Return a link to a paper on arXiv."""
    return f"[arXiv {number}](https://arxiv.org/abs/{number})"


def _escape(text: str) -> str:
    text = re.sub(r"([*_<>\[\]])", r"\\\1", text)
    return ARXIV.sub(r"[arXiv \1](https://arxiv.org/abs/\1)", text)


def summary(thing: Any) -> str:
    """Return the first paragraph of a docstring as Markdown."""
    return plain((inspect.getdoc(thing) or "").split("\n\n")[0])
