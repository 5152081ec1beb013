"""The made-up results folder, once per session, copied where a test writes into it."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from fake_results import N_DRAWS, make_results  # noqa: E402


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    """Interval tables redraw the sources a few times only."""
    monkeypatch.setattr("equirgz.report.tables.intervals.N_DRAWS", N_DRAWS)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    return make_results(tmp_path_factory.mktemp("made") / "fake", seeds=(0, 1, 2))


@pytest.fixture
def folder(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "fake"))
