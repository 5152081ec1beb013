"""Folders and disks that fail: one clear line each, finished runs stay whole, and the rest goes on."""

from __future__ import annotations

import errno
import os
import shutil

import pytest

from equirgz import records
from equirgz.errors import ResultsError
from equirgz.grid.engine.engine_config import make_engine_config
from equirgz.grid.plan.grid import make_grid
from equirgz.grid.results.collect import collect
from equirgz.grid.results.folder import ResultsFolder
from equirgz.grid.results.status import describe_status
from equirgz.grid.runner import run_grid


def run(grid, out):
    return run_grid(grid, out, engine=make_engine_config("inline"), cell="fake_cells:instant")


def test_a_disk_that_fills_up_stops_the_grid_and_keeps_what_is_finished(document, tmp_path, monkeypatch):
    grid, out = make_grid(document), tmp_path / "out"
    real, written = os.replace, []

    def full_after_three_runs(source, target):
        if str(target).endswith(".json") and "cells" in str(target):
            if len(written) == 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written.append(target)
        return real(source, target)

    monkeypatch.setattr(records.os, "replace", full_after_three_runs)
    with pytest.raises(ResultsError, match="No space left on device.*finished runs are kept, start again") as caught:
        run(grid, out)
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    state = ResultsFolder(out).scan([config.run_key() for config in grid.runs])
    assert len(state.done) == 3 and len(state.missing) == 5 and not state.failed
    assert not list(out.rglob("*.tmp")) and not [path for path in (out / "cells").iterdir() if path.name[0] == "."]


def test_after_a_full_disk_the_same_command_finishes_with_the_same_bytes(document, tmp_path, monkeypatch):
    test_a_disk_that_fills_up_stops_the_grid_and_keeps_what_is_finished(document, tmp_path, monkeypatch)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "no-repository"))
    monkeypatch.syspath_prepend(os.path.dirname(__file__))
    grid = make_grid(document)
    assert run(grid, tmp_path / "out").found == 3
    run(grid, tmp_path / "whole")
    assert collect(tmp_path / "out").read_bytes() == collect(tmp_path / "whole").read_bytes()


def test_a_read_only_folder_is_one_clear_line(document, tmp_path, monkeypatch):
    """As on a read-only file system, where root is refused too."""

    def refuse(*arguments, **keywords):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(records.tempfile, "NamedTemporaryFile", refuse)
    with pytest.raises(ResultsError, match="cannot write .*Read-only file system; choose a writable folder"):
        run(make_grid(document), tmp_path / "out")


def test_a_clock_that_runs_backwards_changes_nothing(document, tmp_path):
    """Identity and freshness never come from times: files dated in the future or long ago are as good."""
    grid = make_grid(document)
    run(grid, tmp_path)
    for number, path in enumerate(sorted((tmp_path / "cells").iterdir())):
        when = 4e9 if number % 2 else 1.0
        os.utime(path, (when, when))
    assert run(grid, tmp_path).finished == 0
    (tmp_path / "running").mkdir(exist_ok=True)
    stale = ResultsFolder(tmp_path).running(grid.points[0].run_key)
    stale.write_text('{"host": "elsewhere", "pid": 1}')
    os.utime(stale, (4e9, 4e9))
    lines = describe_status(tmp_path)
    assert lines[0].startswith("tiny: 8 of 8 runs finished") and "for 0 s on elsewhere" in lines[1]


def test_status_of_a_folder_without_cells_or_without_a_plan(document, tmp_path):
    run(make_grid(document), tmp_path)
    shutil.rmtree(tmp_path / "cells")
    assert "no cells/ here, see rows.csv" in describe_status(tmp_path)[0]
    with pytest.raises(ResultsError, match="expected a results folder with grid.json, got none"):
        describe_status(tmp_path / "nowhere")
    with pytest.raises(ResultsError, match="start with `equirgz bench run`"):
        collect(tmp_path / "nowhere")
