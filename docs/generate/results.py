"""The results index and a page per grid, from ``results/``: its text, figures and tables, nothing typed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

LINK = re.compile(r"\]\(([\w./+-]+)\)")
BLOCK = re.compile(r"<!-- (index: \S+|end) -->\n?")
DEPTH = "../../.."  # from docs/generated/results to the repository


def pages(results: Path, *, tables: bool) -> Iterator[tuple[str, str]]:
    """Yield name and text of the index, and of a page per folder of ``results`` that holds a table."""
    folders = [path for path in sorted(results.iterdir()) if path.is_dir() and list_tables(path)]
    names = [folder.name for folder in folders]
    toctree = "\n".join(["```{toctree}", ":hidden:", "", *names, "```"])
    text = BLOCK.sub("", (results / "README.md").read_text(encoding="utf-8"))
    yield "index", f"{LINK.sub(lambda found: f']({target(found[1], names, tables)})', text)}\n{toctree}\n"
    for folder in folders:
        yield folder.name, grid_page(folder, tables)


def list_tables(folder: Path) -> list[Path]:
    """Return the tables of a folder, those of errors first."""
    return errors_first([*folder.glob("tables/**/*.md"), *folder.glob("*.md")])


def errors_first(paths: Iterable[Path]) -> list[Path]:
    """Return files in the order of their names, those of errors before all others."""
    return sorted(paths, key=lambda path: (not path.stem.startswith("error"), path.stem))


def target(link: str, names: list[str], tables: bool) -> str:
    """Return where a link of ``results/README.md`` leads on the site: to the page of its grid, at its table."""
    folder, _, rest = link.partition("/")
    if folder not in names:
        return f"{DEPTH}/results/{link}"
    stem = Path(rest).stem
    return f"{folder}.md#{stem}" if rest and tables and rest.endswith(".md") else f"{folder}.md"


def grid_page(folder: Path, tables: bool) -> str:
    """Return the page of one folder."""
    plan = json.loads((folder / "grid.json").read_text(encoding="utf-8")) if (folder / "grid.json").exists() else {}
    parts = [f"# {folder.name}", " ".join(str(plan.get("question", "")).split())]
    if plan.get("version"):
        parts.append(f"Made by equirgz {plan['version']}. All files: `results/{folder.name}` of the repository.")
    for figure in errors_first(folder.glob("figures/*.png")):
        where = f"{DEPTH}/{os.path.relpath(figure, folder.parent.parent)}"
        parts += [f"## Figure {figure.stem.replace('_', ' ')}", f"![{figure.stem.replace('_', ' ')}]({where})"]
    for path in list_tables(folder) if tables else ():
        parts += [f"## {path.stem}", f":::{{container}} results\n{path.read_text(encoding='utf-8').strip()}\n:::"]
    return "\n\n".join(part for part in parts if part) + "\n"
