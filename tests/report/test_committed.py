"""What is committed is what the code makes of it: README blocks, and the tables of every results folder.

results/evaluation and results/speed are made by commands of their own and hold no grid.json.
"""

import shutil
from pathlib import Path

import pytest

from equirgz.report import write_tables
from equirgz.report.readme import fill_readme

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "results").glob("*/grid.json") if (path.parent / "rows.csv").exists())


@pytest.mark.parametrize("name", ["README.md", "results/README.md"])
def test_generated_blocks_are_up_to_date(name):
    assert fill_readme(ROOT / name, check=True) is False


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_tables_are_those_of_the_rows(folder, tmp_path):
    copy = tmp_path / folder.name
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("tables", "figures", "cells", "*.html"))
    made = {path.relative_to(copy): path.read_bytes() for path in write_tables(copy)}
    kept = {path.relative_to(folder): path.read_bytes() for path in (folder / "tables").rglob("*.*")}
    assert set(kept) == set(made) and {path.suffix for path in made} == {".csv", ".md", ".tex"}
    # Interval tables are drawn fewer times here (see conftest.py), so that only their names are compared.
    changed = [str(path) for path in made if not path.name.startswith("intervals") and made[path] != kept[path]]
    assert not changed, f"run `equirgz bench tables results/{folder.name}`"


def test_there_are_results():
    assert FOLDERS
