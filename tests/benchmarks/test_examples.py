"""The example is run as it stands: it returns what the line in benchmarks/README.md promises."""

from __future__ import annotations

import runpy
from pathlib import Path

import matplotlib
import pytest

pytestmark = pytest.mark.rounding

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "benchmarks" / "examples"


@pytest.fixture(autouse=True)
def no_window():
    matplotlib.use("Agg")


def load(name: str):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]


def test_every_example_is_tested_and_linked():
    assert [path.stem for path in EXAMPLES.glob("*.py")] == ["run_a_grid"]
    assert "(examples/run_a_grid.py)" in (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")


def test_a_grid_is_run_and_tabulated(tmp_path):
    overrides = ("steps=3", "image_size=17", "replicate=[0]", "augmentation=none", "data.params.n_train=70",
                 "evaluation.rotation_angles=2", "evaluation.readouts=[network]")  # fmt: skip
    text = load("run_a_grid")(tmp_path / "out", overrides, engine="inline")
    assert "C1" in text and "D4" in text and "n = 60 sources" in text
    assert (tmp_path / "out" / "index.html").exists() and (
        tmp_path / "out" / "tables" / "error_rate_test_network.tex"
    ).exists()
