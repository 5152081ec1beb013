"""The account of the harness's overhead adds up, and the command measures a grid that really ran."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmarks.overhead import account, main
from equirgz import provenance


@pytest.fixture
def one_version(monkeypatch, tmp_path):
    """The code version is the package's, whatever is being edited meanwhile."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "no-repository"))
    provenance.code_version.cache_clear()
    yield
    provenance.code_version.cache_clear()


def test_account_in_closed_form():
    found = account(60.0, 2, 10, {"training": 100.0, "loading": 5.0, "evaluation": 10.0})
    assert found["overhead_seconds"] == 5.0 and found["overhead_per_run_seconds"] == 0.5
    assert found["overhead_percent_of_training"] == 5.0 and found["wall_over_training"] == pytest.approx(1.2)


def test_the_command_runs_the_grid_and_writes_the_table(one_version, tmp_path, capsys):
    main(["--runs", "3", "--jobs", "1", "--steps", "2", "--out", str(tmp_path / "out")])
    table = pd.read_csv(tmp_path / "out" / "overhead.csv").set_index("quantity")["value"]
    assert table["runs"] == 3 and table["jobs"] == 1
    parts = table[["training_seconds", "loading_seconds", "evaluation_seconds", "overhead_seconds"]]
    assert (parts > 0).all() and parts.sum() == pytest.approx(table["wall_seconds"], rel=1e-4)
    page = (tmp_path / "out" / "overhead.md").read_text()
    assert "3 runs of 2 steps" in page and page in capsys.readouterr().out
