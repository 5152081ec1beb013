"""A small grid document and the environment in which worker processes find the fake cells."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from equirgz import provenance

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]


@pytest.fixture(autouse=True)
def environment_of_workers(monkeypatch, tmp_path):
    """Workers find the fakes; the code version is the package's, whatever is being edited meanwhile."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "no-repository"))
    provenance.code_version.cache_clear()
    monkeypatch.syspath_prepend(str(FOLDER))
    path = os.pathsep.join([str(ROOT), str(FOLDER), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    yield
    provenance.code_version.cache_clear()


@pytest.fixture
def document():
    return {
        "name": "tiny",
        "question": "Does it run?",
        "base": {"data": {"name": "synthetic_fr"}, "train": {"steps": 5}},
        "axes": {"group": ["C1", "D4"], "n_labels": [10, 20], "seed": [0, 1]},
    }
