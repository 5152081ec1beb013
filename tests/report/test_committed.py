"""What is committed is what the code makes of it: README blocks, and the tables of every results folder.

results/evaluation and results/speed are made by commands of their own and hold no grid.json.
"""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from equirgz.records import read_json
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


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_published_numbers_are_those_of_the_benchmark_and_say_of_which_network(folder):
    reported = (read_json(folder / "grid.json")["document"].get("report") or {}).get("reported", [])
    file = ROOT / "benchmarks" / f"{folder.name}.yaml"
    document = yaml.safe_load(file.read_text()) if file.exists() else {}
    assert reported == (document.get("report") or {}).get("reported", [])
    for entry in reported:
        assert re.search(r"(LeNet|ResNet-\d+), \d+ px|network and image size not found", entry["source"]), entry


def test_there_are_results():
    assert FOLDERS
