"""What the files beside the package say of it: one licence, one description."""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def setup():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_no_version_one_licence_and_description(setup):
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    coded = json.loads((ROOT / "codemeta.json").read_text())
    assert not any("version" in stated for stated in (setup["metadata"], cited, coded)), "the tag alone says it"
    assert coded["license"].endswith(f"/{cited['license']}") and cited["license"] == setup["metadata"]["license"]
    assert coded["description"] == setup["metadata"]["description"] and coded["name"] == setup["metadata"]["name"]


def test_workflows_test_every_python_and_system_that_the_classifiers_promise(setup):
    classifiers = setup["metadata"]["classifiers"].split("\n")
    promised = {line.rpartition(" ")[2] for line in classifiers if "Python :: 3." in line}
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["test"]
    assert promised == set(job["strategy"]["matrix"]["python"])
    sessions = re.search(r"^PYTHONS = \[(.*)\]$", (ROOT / "noxfile.py").read_text(), re.MULTILINE)[1]
    assert promised <= set(re.findall(r"3\.\d+", sessions))
    assert setup["options"]["python_requires"].removeprefix(">=") == min(promised)
    assert [line for line in classifiers if "Operating System" in line] == ["Operating System :: POSIX :: Linux"]


def test_the_page_on_installing_names_every_extra(setup):
    page = (ROOT / "docs" / "start" / "install.md").read_text()
    lost = [extra for extra in setup["options.extras_require"] if f"`{extra}`" not in page]
    assert not lost, "a row in docs/start/install.md"
