"""The papers that docstrings name, one entry each, with what follows them."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import equirgz
from equirgz.data.facts import SETS
from generate.markdown import ARXIV, cell, code, plain, table

PACKAGE = Path(equirgz.__file__).parent
DEFINED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def page() -> str:
    """Return the page: a line per paper and, for data, per archive."""
    found = cited()
    rows = []
    for number in sorted(found):
        places = found[number]
        rows.append(
            (
                f"[arXiv {number}](https://arxiv.org/abs/{number})",
                plain(places[0][1]),
                ", ".join(code(p) for p, _ in places),
            )
        )
    data = [(code(name), plain(SETS[name].citation)) for name in SETS]
    return "\n\n".join(
        [
            "# Bibliography",
            "Gathered from the docstrings: each paper that the code follows, for what, and where it is named.",
            table(("paper", "for what", "named in"), rows),
            "## Data",
            "Please cite the papers of the data that you use.",
            table(("archive", "cite"), data),
        ]
    )


def cited() -> dict[str, list[tuple[str, str]]]:
    """Return arXiv number -> (where, first sentence of the docstring there), each place once, in order of the files."""
    places: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = ast.get_docstring(node) if isinstance(node, DEFINED) else None
            where = f"{module}.{node.name}" if text and not isinstance(node, ast.Module) else module
            for number in dict.fromkeys(ARXIV.findall(text or "")):
                places[number].append((where.removeprefix("equirgz."), cell((text or "").split("\n\n")[0])))
    return places
