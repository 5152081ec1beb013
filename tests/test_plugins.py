"""Names that an installed package adds: the command line and every kind of worker see them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "tests" / "example_package"
GRID = """
name: own
base:
  data: {name: example_rings, image_size: 33, params: {n: 16}}
  backbone: {name: example_mean}
  train: {steps: 2, batch_size: 8, augmentation: none}
axes: {seed: [0, 1]}
"""


@pytest.fixture
def environment(monkeypatch):
    paths = [str(EXAMPLE), str(ROOT), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    return dict(os.environ)


def equirgz(*words: str, env: dict[str, str], **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "equirgz", *words], env=env, capture_output=True, text=True, **options)


def test_the_command_line_lists_them_and_their_options(environment):
    assert "example_mean" in equirgz("models", env=environment, check=True).stdout
    found = equirgz("bench", "keys", "example_mean", env=environment, check=True).stdout
    assert (
        "backbone.params.channels  (of example_mean)\n    a whole number, default 4\n    of the convolution.\n" in found
    )


def test_what_cannot_be_loaded_is_named_and_the_rest_works(environment):
    code = """
import equirgz
from equirgz.objectives.base import OBJECTIVES
assert OBJECTIVES.get("supervised").__module__.startswith("equirgz.objectives")
assert "broken_network" not in equirgz.list_backbones()
equirgz.create_backbone("broken_network")
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "'supervised' of the package equirgz-example is left out: the name is taken" in done.stderr
    assert "InputError: backbone 'broken_network' of the package equirgz-example cannot be loaded: No module named" in (
        done.stderr
    )


def test_worker_processes_train_them(environment, tmp_path):
    (tmp_path / "own.yaml").write_text(GRID)
    words = ("bench", "run", "own.yaml", "--out", "out", "--jobs", "1")
    done = equirgz(*words, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out" / "cells").glob("*.json"))) == 2
    assert (
        json.loads((tmp_path / "out" / "grid.json").read_text())["document"]["base"]["backbone"]["name"]
        == "example_mean"
    )
