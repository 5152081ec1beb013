"""What is committed is what the code makes of the rows: README blocks and kept tables; and it weighs little.

results/overhead and results/speed are made by commands of their own and hold no grid.json.
"""

import re
from pathlib import Path

import pytest
import yaml

from equirgz.records import read_json
from equirgz.report.decimals import check_decimals
from equirgz.report.readme import fill_readme, find_readmes, main_table
from equirgz.report.rows.results import find_rows, open_results
from equirgz.report.slim import linked_files
from equirgz.report.tables.write import make_table_files

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"
READMES = find_readmes(ROOT)
FOLDERS = sorted(path.parent for path in RESULTS.glob("*/grid.json") if find_rows(path.parent).exists())
MARKED = {
    "README.md", "results/README.md", "docs/explanation/claims.md", "docs/explanation/measured.md",
    "docs/howto/classify.md", "docs/howto/imaging.md",
}  # fmt: skip
SOURCES = {"grid.json", "rows.csv.gz", "predictions.csv.gz", "timings.csv", "provenance.csv", "splits.csv"}


@pytest.fixture
def few_draws():
    """Kept interval tables are compared whole, with all their draws (conftest.py draws fewer elsewhere)."""


@pytest.mark.parametrize("path", READMES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_generated_blocks_are_up_to_date(path):
    assert fill_readme(path, check=True) is False


def test_decimals_in_sentences_of_results_are_marked():
    asked = {path.relative_to(ROOT).as_posix(): check_decimals(path, path.read_text()) for path in READMES}
    assert asked.keys() >= MARKED and {name for name in asked if asked[name] is not None} >= MARKED
    assert not any(asked.values())


@pytest.mark.parametrize("path", READMES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_no_number_ends_its_paragraph(path):
    """A line that begins with a comment is HTML of its own; one that begins with % is a comment on the site."""
    assert re.findall(r"^ *(?:%|<!-- value).{,60}", path.read_text(encoding="utf-8"), re.MULTILINE) == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_kept_tables_are_those_of_the_rows(folder):
    kept = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.glob("tables/**/*.*")}
    made = make_table_files(open_results(folder), kept)
    assert f"tables/{main_table(folder)}.md" in kept or folder.name.startswith("shift")
    changed = [name for name in kept if made.get(name) != kept[name]]
    assert not changed, f"run `equirgz bench tables results/{folder.name}`, then `equirgz bench slim`"


def test_committed_results_are_sources_and_what_a_readme_shows():
    linked = linked_files(READMES)
    for folder in FOLDERS:
        files = {path for path in folder.rglob("*") if path.is_file() and "cells" not in path.parts}
        extra = {str(p.relative_to(ROOT)) for p in files if p.name not in SOURCES and p.resolve() not in linked}
        assert not extra, "run `equirgz bench slim`"
        assert len(files) <= 22, folder
    missing = {str(path) for path in linked if path.is_relative_to(RESULTS) and not path.exists()}
    assert not missing


def test_committed_results_weigh_little():
    sizes = [path.stat().st_size for path in RESULTS.rglob("*") if path.is_file()]
    assert len(sizes) <= 600 and sum(sizes) <= 25e6


def test_a_plateau_that_a_grid_names_is_a_grid_over_updates():
    for folder in FOLDERS:
        named = (read_json(folder / "grid.json")["document"].get("report") or {}).get("plateau")
        assert not named or "steps" in read_json(RESULTS / named / "grid.json")["axes"], folder


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_published_numbers_are_those_of_the_benchmark_and_say_of_which_network(folder):
    reported = (read_json(folder / "grid.json")["document"].get("report") or {}).get("reported", [])
    names = (folder.name, folder.name.rpartition("_")[0])  # a benchmark, or a benchmark_profile
    file = next((f for f in (ROOT / "benchmarks" / f"{name}.yaml" for name in names) if f.exists()), Path("none"))
    document = yaml.safe_load(file.read_text()) if file.exists() else {}
    assert reported == (document.get("report") or {}).get("reported", [])
    for entry in reported:
        assert re.search(r"(LeNet|ResNet-\d+), \d+ px|network and image size not found", entry["source"]), entry


def test_there_are_results():
    assert FOLDERS
