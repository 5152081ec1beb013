"""The smoke grid by its command, killed as a worker and as a whole, goes on; its rows are those of a whole run."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_runner import await_, processes_that_follow

from equirgz.grid.plan.grid import load_grid
from equirgz.grid.results.folder import ResultsFolder
from equirgz.grid.results.status import list_running

ROOT = Path(__file__).parents[2]
GRID = ROOT / "benchmarks" / "smoke.yaml"
#: the command without figures and page, which cost more than the runs; the first call below makes all of them
UNDRAWN = """
import sys
from equirgz.cli import main
from equirgz.report import page
from equirgz.report.figures import write_figures
write_figures.write_figures = lambda results: []
page.write_page = lambda results: results
main()
"""


@pytest.fixture
def smoke(monkeypatch):
    """Return a call of ``bench run benchmarks/smoke.yaml --jobs 2`` into a folder, as a process of its own session."""
    monkeypatch.chdir(ROOT)

    def start(out: Path, drawn: bool = False) -> subprocess.Popen:
        program = ["-m", "equirgz"] if drawn else ["-c", UNDRAWN]
        command = [sys.executable, *program, "bench", "run", str(GRID), "--jobs", "2", "--out", str(out)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )

    return start


def test_smoke_survives_a_killed_worker_and_a_killed_parent(smoke, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    text, _ = (harness := smoke(whole, drawn=True)).communicate(timeout=300)
    assert harness.returncode == 0 and "8 of 8 runs done, 0 failed" in text and "figure  " in text, text
    text, _ = smoke(whole).communicate(timeout=300)
    assert "nothing to do: all 8 runs are finished" in text

    harness = smoke(killed)
    at_work: list[dict] = []
    await_(lambda: at_work.extend(list_running(ResultsFolder(killed)).values()) or at_work)
    os.kill(at_work[0]["pid"], signal.SIGKILL)
    await_(lambda: len(list((killed / "cells").glob("*.json"))) >= 3)
    harness.kill()
    harness.communicate()
    await_(lambda: not processes_that_follow(harness.pid))
    keys = [config.run_key() for config in load_grid(GRID).runs]
    assert 3 <= len(ResultsFolder(killed).scan(keys).done) < 8
    text, _ = smoke(killed).communicate(timeout=300)
    assert "runs are finished already" in text, text
    for name in ("rows.csv", "predictions.csv.gz", "splits.csv"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
