"""The papers that docstrings name, one entry each, with what follows them."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import equirgz
from equirgz.data.facts import SETS
from equirgz.grid.plan.keys import registries
from generate.markdown import ARXIV, cell, code, link, plain, sources, table

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
                link(number),
                plain(places[0][1]),
                ", ".join(code(p) for p, _ in places),
            )
        )
    data = [(code(name), plain(SETS[name].citation)) for name in SETS]
    return "\n\n".join(
        [
            "# Bibliography",
            "Gathered from the docstrings. Please cite the papers of the methods and of the data that you use.",
            "## Methods",
            "What can be named in a YAML, and its papers.",
            table(("method", "kind", "papers"), methods()),
            "## Papers",
            "Each paper that the code follows, for what, and where it is named.",
            table(("paper", "for what", "named in"), rows),
            "## Data",
            table(("archive", "cite"), data),
        ]
    )


def methods() -> list[tuple[str, str, str]]:
    """Return a row per backbone, objective and augmentation that follows a paper: name, kind, papers."""
    rows = []
    for key, kind in (("backbone.params", "backbone"), ("objective.params", "objective"),
                      ("train.augmentation_params", "augmentation")):  # fmt: skip
        registry = registries()[key]
        rows += [(code(name), kind, ", ".join(map(link, sources(registry.get(name))))) for name in registry]
    return [row for row in rows if row[2]]


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
