"""What is committed is what the code makes of it: README blocks, and the tables of every results folder."""

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
    for path in write_tables(copy):
        if path.suffix == ".md" and not path.name.startswith("intervals"):  # those are drawn fewer times here
            committed = folder / path.relative_to(copy)
            assert committed.read_text(encoding="utf-8") == path.read_text(encoding="utf-8"), committed.name


def test_there_are_results():
    assert FOLDERS
