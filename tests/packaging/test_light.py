"""The install without torch: all that requirements-light.txt leaves out is kept from being imported."""

from __future__ import annotations

import configparser
import shutil
from pathlib import Path

import pytest

from equirgz.errors import CORE, EXTRA_OF, NAME_OF
from tests.without_torch import run_without

ROOT = Path(__file__).parents[2]
LIGHT = [line for line in (ROOT / "requirements-light.txt").read_text().splitlines() if line and line[0] != "#"]
ABSENT = {*CORE, *EXTRA_OF} - {line.partition(">")[0] for line in LIGHT} - {"pillow"}  # matplotlib brings pillow
MODULE_OF = {package: module for module, package in NAME_OF.items()}
COMMAND = "import sys\nsys.argv = ['equirgz', *sys.argv[1:]]\nfrom equirgz.cli import main\nmain()"


def call(code: str, *arguments: object):
    return run_without([MODULE_OF.get(package, package) for package in sorted(ABSENT)], code, *arguments, cwd=ROOT)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("light") / "results"
    shutil.copytree(ROOT / "tests" / "golden" / "frozen", folder)
    return folder


def test_it_asks_for_nothing_that_the_full_install_does_not():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert set(LIGHT) <= set(setup["options"]["install_requires"].split()) and {"torch", "parsl"} <= ABSENT


def test_results_are_read_and_tables_and_page_written(results):
    code = "import sys, equirgz; print(len(equirgz.load_results(sys.argv[1])))"
    done = call(code, results)
    assert done.returncode == 0 and int(done.stdout) > 0, done.stderr
    for command in ("tables", "page"):
        done = call(COMMAND, "bench", command, results)
        assert done.returncode == 0, done.stderr
    assert (results / "index.html").is_file() and list((results / "tables").glob("*.tex"))


def test_a_figure_is_drawn(results):
    done = call(COMMAND, "bench", "figures", results)
    assert done.returncode == 0 and list((results / "figures").glob("*.png")), done.stderr


@pytest.mark.parametrize("words", [["train"], ["models"], ["bench", "run", "smoke"], ["selftest"]])
def test_what_needs_more_says_in_one_line_what_to_install(words, tmp_path):
    (tmp_path / "run.yaml").write_text("seed: 1\n")
    done = call(COMMAND, *words, *([tmp_path / "run.yaml"] if words == ["train"] else []))
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("equirgz: ") and done.stderr.endswith("got none; pip install equirgz\n")


def test_public_names_say_it_too():
    code = "import equirgz\ntry:\n    equirgz.create_backbone\nexcept ImportError as error:\n    print(error)"
    assert call(code).stdout.endswith("got none; pip install equirgz\n")


def test_the_doctor_runs_and_fails():
    done = call(COMMAND, "doctor")
    assert done.returncode == 1 and done.stderr == "" and "torch cannot be imported" in done.stdout
