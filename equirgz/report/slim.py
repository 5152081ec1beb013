"""A results folder as it is committed: its sources, and those tables and figures that a README shows or links to.

All else is a function of the rows, made on demand by `equirgz bench tables|figures|page`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from equirgz.errors import ResultsError
from equirgz.paths import as_path
from equirgz.records import gzip_bytes, write_bytes_atomic
from equirgz.report.rows.results import load_results
from equirgz.report.tables.extras import EXTRAS
from equirgz.report.tables.statistics import STATISTICS

TABLES, DRAWN = (".csv", ".md", ".tex"), (".png", ".svg")
FIGURES = (
    "reliability", "rotation", "scaling", "equivariance", "risk_coverage", "samples", "turned_queries",
    "pareto", "learning",
)  # fmt: skip
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def linked_files(readmes: Iterable[Path | str]) -> set[Path]:
    """Return every file that the Markdown files show or link to, and what each generated table was copied from.

    Raises: ResultsError where a Markdown file cannot be read.
    """
    from equirgz.report.readme import find_table_files

    found: set[Path] = set()
    for readme in map(Path, readmes):
        try:
            text = readme.read_text(encoding="utf-8")
        except OSError as error:
            raise ResultsError(str(readme), expected="a Markdown file", got=error.strerror) from error
        found |= {(readme.parent / target).resolve() for target in _LINK.findall(text)}
        found |= {path.resolve() for path in find_table_files(readme, text)}
    return found


def slim_results(folder: Path | str, readmes: Iterable[Path | str]) -> list[Path]:
    """Remove what the rows give anew and no README links to, pack rows.csv as rows.csv.gz; return what was removed.

    Removed are the page and tables and figures whose names begin as this package names them (a metric or a kind of
    table and a split of the rows; a kind of figure); anything else in the folder stays.
    Raises: ResultsError where the rows or a README cannot be read; nothing is removed then.
    """
    folder = as_path(folder)
    rows = load_results(folder)
    kept = linked_files(readmes)
    heads = {re.sub(r"[^\w.+-]+", "_", metric) for metric in set(rows["metric"])} | {*STATISTICS, *EXTRAS}
    starts = tuple(f"{head}_{split}_" for head in heads for split in set(rows["split"]) if split)
    made = [path for path in folder.glob("tables/**/*") if path.suffix in TABLES and path.name.startswith(starts)]
    made += [
        path
        for path in folder.glob("figures/*")
        if path.suffix in DRAWN and (path.name.startswith(FIGURES) or "_vs_" in path.name)
    ]
    made += [folder / "index.html", folder / ".published"]
    gone = sorted(path for path in made if path.is_file() and path.resolve() not in kept)
    for path in gone:
        path.unlink()
    for name in ("tables/more", "tables", "figures"):
        if (folder / name).is_dir() and not any((folder / name).iterdir()):
            (folder / name).rmdir()
    plain = folder / "rows.csv"
    if plain.exists():
        write_bytes_atomic(folder / "rows.csv.gz", gzip_bytes(plain.read_bytes()))
        plain.unlink()
    return gone
