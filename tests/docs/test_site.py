"""The site builds without a warning, which is an error: a link to nowhere, a name or a text that cannot be read."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

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


def rooms() -> list[ModuleType]:
    """Return every package of equirgz that says what it exports, the command line left out."""
    names = ["equirgz", *(info.name for info in pkgutil.walk_packages(equirgz.__path__, "equirgz.") if info.ispkg)]
    found = [importlib.import_module(name) for name in names if not name.startswith("equirgz.cli")]
    return [room for room in found if getattr(room, "__all__", None)]


def undocumented(thing: object) -> list[str]:
    """Return what of a class or function says nothing: "" for itself, else the names of its own public members."""
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        return []
    own = [] if (thing.__doc__ or "").strip() else [""]
    members = {name for name in vars(thing) if inspect.isclass(thing) and not name.startswith("_")}
    kinds = (property, staticmethod, classmethod, type(undocumented))
    members = [name for name in sorted(members) if isinstance(vars(thing)[name], kinds)]
    return own + [name for name in members if not inspect.getdoc(getattr(thing, name))]


def test_every_public_name_is_listed_and_says_what_it_is():
    pages = "".join(text for _, text in api.pages())
    for room in rooms():
        lost = [name for name in set(room.__all__) - {"__version__"} if f":: {room.__name__}.{name}\n" not in pages]
        assert not lost, f"{room.__name__}: {lost} on no page; add the room to docs/generate/api.py"
    silent = []
    for module in sorted({module for modules in api.PAGES.values() for module in modules}):
        loaded = importlib.import_module(module)
        for name in api.public_names(loaded):
            silent += [f"{module}.{name}.{member}" for member in undocumented(getattr(loaded, name))]
    assert not silent


def test_a_silent_name_would_be_found():
    class Thing:
        """It says what it is."""

        def method(self):
            pass

        @property
        def number(self):
            """Number."""

    class Kept(Thing):
        pass

    def function():
        pass

    assert undocumented(Thing) == ["method"] and undocumented(Kept) == [""] and undocumented(function) == [""]


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
    page = bibliography.page().partition("## Papers")[2]
    assert len(numbers) > 30 and all(page.count(f"| [arXiv {number}](") == 1 for number in numbers)


def test_every_method_names_its_papers():
    known = {name.strip("`"): papers for name, _, papers in bibliography.methods()}
    for key in ("backbone.params", "objective.params"):
        lost = set(registries()[key]) - set(known) - {"supervised"}
        assert not lost, f"{lost}: the docstring, or that of its module, names no arXiv number"
    assert "2006.07733" in known["byol"] and "2001.07685" in known["fixmatch"]


def test_links_of_the_results_lead_to_their_files():
    pages = dict(results.pages(ROOT / "results"))
    anchors = re.findall(r"\]\(#([\w-]+)\)", pages["index"])
    labels = [label for page in pages.values() for label in re.findall(r"^\(([\w-]+)\)=$", page, re.MULTILINE)]
    assert len(anchors) > 50 and set(anchors) <= set(labels) and len(labels) == len(set(labels))


@pytest.fixture
def few_results(tmp_path):
    """Return the pages of a folder of results with files of one name, in capitals and in folders of their own."""
    files = {
        "README.md": "<!-- index: . -->\n| results | version | plateau |\n| [e](few) | 1 |  |\n<!-- end -->\n"
        "[a](few/README.md) [b](few/more/README.md) [c](few/tables/E_1.5.md) [d](few/a.csv) [e](few)",
        "few/README.md": "# Title\n\n## Part\n```bash\n# comment\n```\n| a |\n| - |\nEnd, [above](../README.md).\n",
        "few/more/README.md": "[here](a.csv), [there](../tables/E_1.5.md#x), [web](https://a.b/c.md)\n",
        "few/tables/E_1.5.md": "| b |",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return dict(results.pages(tmp_path))


def test_every_file_of_a_folder_of_results_is_a_section_that_can_be_linked_to(few_results):
    index, page = few_results["index"], few_results["few"]
    assert index.startswith("| results | plateau |\n| [e](few.md) |  |\n[a](#few-readme)")
    assert "[a](#few-readme) [b](#few-more-readme) [c](#few-tables-e-1-5)" in index
    assert "[d](../../../results/few/a.csv) [e](few.md)" in index
    assert "(few-readme)=\n\n## Title\n\n### Part\n```bash\n# comment\n```\n" in page
    assert ":::{container} results\n| a |\n| - |\n:::\nEnd, [above](index.md)." in page
    assert "(few-more-readme)=\n\n## README\n\n[here](../../../results/few/more/a.csv), " in page
    assert "[there](#few-tables-e-1-5), [web](https://a.b/c.md)" in page
    assert page.startswith("# few\n\n(few-tables-e-1-5)=\n\n## E_1.5\n\n:::{container} results\n| b |\n:::\n\n")


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
