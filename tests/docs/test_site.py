"""The site builds without a warning, which is an error: a link to nowhere, a name or a text that cannot be read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import equirgz

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

from generate import api, bibliography, command_line, docstrings, registered, results, yaml_keys  # noqa: E402

from equirgz.grid.plan.keys import model_keys, registries  # noqa: E402
from equirgz.metrics import METRICS  # noqa: E402


def build(source: Path, out: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "dummy", str(source), str(out)]
    environment = os.environ | {"EQUIRGZ_DOCS_FAST": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def copied(tmp_path) -> Path:
    """Return a copy of docs/ beside links to what its pages include, so that the tree of the user is left alone."""
    import shutil

    shutil.copytree(
        ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("_build", "generated", "__pycache__")
    )
    for name in ("results", "benchmarks", "CONTRIBUTING.md", "CHANGELOG.md"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path / "docs"


def test_two_broken_links_are_all_that_is_wrong(copied, tmp_path):
    with (copied / "glossary.md").open("a") as page:
        page.write("\n[page](nowhere.md) and [heading](index.md#nowhere)\n")
    done = build(copied, tmp_path / "out")
    warnings = [line for line in done.stderr.splitlines() if "WARNING" in line or "ERROR" in line]
    assert done.returncode, "a warning is an error"
    assert len(warnings) == 2 and all("nowhere" in line for line in warnings), done.stderr


def test_every_public_name_is_documented():
    text = dict(api.pages())
    assert all(f":: equirgz.{name}\n" in text["equirgz"] for name in set(equirgz.__all__) - {"__version__"})
    for room in ("backbones", "nn", "data", "tasks", "objectives", "evaluate", "metrics", "report", "config"):
        names = __import__(f"equirgz.{room}", fromlist=["__all__"]).__all__
        assert all(f":: equirgz.{room}.{name}\n" in text[room] for name in names), room


def test_everything_registered_every_key_and_every_metric_is_listed():
    pages = dict(registered.pages(costs=False))
    for key, registry in registries().items():
        assert all(f"## {name}\n" in pages[registered.TITLES[key][0]] for name in registry)
    assert all(f"| `{name}` |" in pages["metrics"] for name in METRICS)
    assert all(f"| `{key.name}` |" in yaml_keys.page() for key in model_keys())


def test_every_command_and_option_is_listed():
    page = command_line.page()
    assert {"## equirgz bench run", "## equirgz data check", "## equirgz train"} <= set(page.splitlines())
    assert "`--engine`" in page and "`--data-dir`" in page


def test_every_paper_of_the_docstrings_has_one_entry():
    numbers = bibliography.cited()
    page = bibliography.page()
    assert len(numbers) > 30 and all(page.count(f"| [arXiv {number}](") == 1 for number in numbers)


def test_links_of_the_results_lead_to_their_tables():
    pages = dict(results.pages(ROOT / "results", tables=True))
    anchors = re.findall(r"\]\((\w+)\.md#([\w.+-]+)\)", pages["index"])
    assert len(anchors) > 100
    assert all(f"## {anchor}\n" in pages[page] for page, anchor in anchors)


def test_docstrings_are_read_as_they_are_meant():
    lines = [
        "Turn |G| maps, ``|G| * 2``; tables/a_ b.",
        "",
        "x : an image,",
        "    of one channel.",
        "y, z : two.",
        "End.",
    ]
    docstrings.rewrite(None, "", "", None, None, lines)
    assert lines == [
        r"Turn \|G\| maps, ``|G| * 2``; tables/a\_ b.", "", "", "- ``x``: an image,", "  of one channel.",
        "- ``y, z``: two.", "", "End.", "",
    ]  # fmt: skip
