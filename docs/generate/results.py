"""The results index and a page per grid, from ``results/``: its text, figures and tables, nothing typed.

A Markdown file of a folder is a section of the folder's page, under a label that is made of its path; what links to the
file on GitHub leads to the label on the site.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

LINK = re.compile(r"\]\(([^)\s:#]+)(#[^)\s]*|)\)")  # to a file, with a heading or without
INDEX = re.compile(r"<!-- index: \S+ -->\n(.*?)<!-- end -->\n", re.DOTALL)
FENCE_OR_HEADING = re.compile(r"^```.*?^```$|^#+(?= )", re.DOTALL | re.MULTILINE)
TABLE = re.compile(r"(?:^\|.*(?:\n|\Z))+", re.MULTILINE)
SAID_BY_PAGE = {"version", "tables", "figures"}  # columns of the index
DEPTH = "../../.."  # from docs/generated/results to the repository


def pages(results: Path) -> Iterator[tuple[str, str]]:
    """Yield name and text of the index, and of a page per folder of ``results`` that holds a table."""
    folders = [path for path in sorted(results.iterdir()) if path.is_dir() and list_tables(path)]
    places = {"README.md": "index.md"} | {folder.name: f"{folder.name}.md" for folder in folders}
    for folder in folders:
        for path in (file.relative_to(results).as_posix() for file in list_tables(folder)):
            places[path] = f"#{make_label(path)}"
    text = (results / "README.md").read_text(encoding="utf-8")
    text = resolve(INDEX.sub(lambda found: drop_columns(found[1]), text), places)
    toctree = "\n".join(["```{toctree}", ":hidden:", "", *(folder.name for folder in folders), "```"])
    yield "index", f"{text}\n{toctree}\n"
    for folder in folders:
        yield folder.name, grid_page(folder, places)


def drop_columns(table: str) -> str:
    """Return the index without the columns that each page says itself: the questions have their room.

    >>> drop_columns("| results | question | tables |\\n| :-- | :-- | --: |\\n| a | b |  |\\n").splitlines()
    ['| results | question |', '| :-- | :-- |', '| a | b |']
    """
    rows = [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in table.splitlines()]
    kept = [column for column, head in enumerate(rows[0]) if head not in SAID_BY_PAGE]
    return "".join(f"| {' | '.join(row[column] for column in kept)} |\n" for row in rows)


def resolve(text: str, places: Mapping[str, str], folder: str = "") -> str:
    """Return the text of a file in ``folder`` of ``results`` with its links as on the site.

    A link leads to the place of its file, to a section or a page; else to the file itself.

    >>> resolve("[a](README.md) [b](b.csv) [c](https://c.d)", {"answers/README.md": "#answers-readme"}, "answers")
    '[a](#answers-readme) [b](../../../results/answers/b.csv) [c](https://c.d)'
    >>> resolve("[d](../docs/explanation/claims.md)", {})
    '[d](../../explanation/claims.md)'
    """

    def lead(found: re.Match[str]) -> str:
        path = os.path.normpath(PurePosixPath(folder, found[1]))
        if path.startswith("../docs/"):  # a page of the site, seen from docs/generated/results
            return f"]({path.replace('../docs', '../..', 1)}{found[2]})"
        return f"]({places.get(path) or f'{DEPTH}/results/{path}{found[2]}'})"

    return LINK.sub(lead, text)


def make_label(path: str) -> str:
    """Return the label of a file's section.

    >>> make_label("answers/surveys/README.md")
    'answers-surveys-readme'
    """
    return re.sub(r"[^a-z0-9]+", "-", path.removesuffix(".md").lower())


def list_tables(folder: Path) -> list[Path]:
    """Return the Markdown files of a folder, those of errors first."""
    return errors_first(folder.rglob("*.md"))


def errors_first(paths: Iterable[Path]) -> list[Path]:
    """Return files in the order of their names, those of errors before all others."""
    return sorted(paths, key=lambda path: (not path.stem.startswith("error"), path.stem))


def grid_page(folder: Path, places: Mapping[str, str]) -> str:
    """Return the page of one folder."""
    plan = json.loads((folder / "grid.json").read_text(encoding="utf-8")) if (folder / "grid.json").exists() else {}
    parts = [f"# {folder.name}", " ".join(str(plan.get("question", "")).split())]
    if plan.get("version"):
        parts.append(f"Made by equirgz {plan['version']}. All files: `results/{folder.name}` of the repository.")
    for figure in errors_first(folder.glob("figures/*.png")):
        where = f"{DEPTH}/{os.path.relpath(figure, folder.parent.parent)}"
        parts += [f"## Figure {figure.stem.replace('_', ' ')}", f"![{figure.stem.replace('_', ' ')}]({where})"]
    for path in list_tables(folder):
        name = path.relative_to(folder.parent).as_posix()
        parts += [f"({make_label(name)})=", section(path.read_text(encoding="utf-8"), name, places)]
    return "\n\n".join(part for part in parts if part) + "\n"


def section(text: str, name: str, places: Mapping[str, str]) -> str:
    """Return the Markdown file ``name`` of ``results`` as a section: headings one level lower, tables that scroll."""
    titled = text if text.startswith("# ") else f"# {Path(name).stem}\n\n{text}"
    lowered = FENCE_OR_HEADING.sub(lambda found: found[0] if found[0][0] == "`" else f"#{found[0]}", titled)
    scrolling = TABLE.sub(lambda found: f":::{{container}} results\n{found[0].rstrip()}\n:::\n", lowered)
    return resolve(scrolling, places, os.path.dirname(name)).strip()
