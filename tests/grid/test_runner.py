import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import psutil
import pytest
import yaml

from equirgz.errors import InputError, ResultsError
from equirgz.grid.engine import task as task_module
from equirgz.grid.engine.engine_config import make_engine_config
from equirgz.grid.plan.grid import make_grid
from equirgz.grid.results import folder as folder_module
from equirgz.grid.results.collect import collect
from equirgz.grid.results.folder import ResultsFolder
from equirgz.grid.results.status import describe_status
from equirgz.grid.runner import run_grid


def run(grid, out, cell="instant", **options):
    names = ("engine", "jobs", "time_limit_s", "memory_limit_gb", "attempts")
    engine = make_engine_config(options.pop("engine", "inline"), **{k: options.pop(k) for k in names if k in options})
    return run_grid(grid, out, cell=f"fake_cells:{cell}", engine=engine, **options)


def published(out):
    collect(out)
    return {name: (out / name).read_bytes() for name in ("rows.csv", "predictions.csv.gz")}


def test_a_second_start_does_nothing(document, tmp_path):
    grid = make_grid(document)
    first = run(grid, tmp_path)
    assert (first.finished, first.found, first.failed, first.complete) == (8, 0, 0, True)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "cells").iterdir()}
    second = run(grid, tmp_path)
    assert (second.finished, second.found, second.complete) == (0, 8, True)
    assert stamps == {path: path.stat().st_mtime_ns for path in (tmp_path / "cells").iterdir()}
    assert not list((tmp_path / "running").iterdir())


def test_rows_do_not_depend_on_engine_jobs_or_order(document, tmp_path):
    grid = make_grid(document)
    run(grid, tmp_path / "inline")
    run(grid, tmp_path / "local", engine="local", jobs=2)
    assert published(tmp_path / "inline") == published(tmp_path / "local")


def test_a_failed_run_is_recorded_and_retried_only_on_request(document, tmp_path):
    grid = make_grid(document)
    summary = run(grid, tmp_path, "odd_seeds_fail")
    assert (summary.finished, summary.failed, summary.complete) == (4, 4, False)
    bad = next(config for config in grid.runs if config.seed == 1)
    record = ResultsFolder(tmp_path).read_failed(bad.run_key())
    assert record["error"] == "seed: expected an even one, got an odd one"
    assert "odd_seeds_fail" in record["traceback"] and record["config"]["seed"] == 1
    assert set(pd.read_csv(collect(tmp_path)).seed) == {0}
    again = run(grid, tmp_path)
    assert (again.finished, again.failed) == (0, 4)
    mended = run(grid, tmp_path, retry_failed=True)
    assert (mended.finished, mended.failed, mended.complete) == (4, 0, True)
    assert not list((tmp_path / "cells").glob("*.failed.json"))


def test_fail_fast_stops_at_the_first_failure(document, tmp_path):
    seen = []
    run(make_grid(document), tmp_path, "odd_seeds_fail", fail_fast=True, report=lambda event, _: seen.append(event))
    assert seen.count("failed") == 1 and seen[-1] == "failed"
    assert seen.count("done") == 1  # the second run failed, and nothing was computed after it
    assert len(list((tmp_path / "cells").iterdir())) == 2


def test_runs_that_die_hang_or_eat_memory_are_dealt_with_and_the_rest_goes_on(document, tmp_path, monkeypatch):
    """One grid of every trouble: see fake_cells.troubled."""
    monkeypatch.setenv("FAKE_MARKER", str(tmp_path / "marker"))
    document["axes"] = {"seed": [0, 1, 2, 3, 4]}
    grid, events = make_grid(document), []
    summary = run(
        grid,
        tmp_path / "out",
        "troubled",
        engine="local",
        jobs=2,
        time_limit_s=20.0,
        memory_limit_gb=2.0,
        attempts=2,
        report=lambda event, facts: events.append((event, facts)),
    )
    folder = ResultsFolder(tmp_path / "out")
    state = folder.scan([config.run_key() for config in grid.runs])
    status = {config.seed: config.run_key() in state.done for config in grid.runs}
    assert status == {0: True, 1: True, 2: False, 3: False, 4: True}
    key = {config.seed: config.run_key() for config in grid.runs}
    assert folder.read_failed(key[2])["error"] == "time limit of 20 s exceeded"
    assert "troubled" in folder.read_failed(key[2])["traceback"]  # where it hung
    assert folder.read_failed(key[3])["error"].startswith("MemoryError")
    assert folder.read_cell(key[4])["rows"][0]["n"] == 2 and (summary.finished, summary.failed) == (3, 2)
    retries = [facts["run_key"] for event, facts in events if event == "retry"]
    assert sorted(retries) == sorted([key[1], key[3], key[4]])
    assert not list((tmp_path / "out" / "running").iterdir())


def await_(condition, seconds=120):
    """Wait for ``condition``, long enough for a busy machine."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def processes_that_follow(leader):
    """Return the processes that name ``leader`` as the one that they follow, or belong to its session."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            named = ["equirgz.grid.engine.follow", str(leader)] == process.cmdline()[2:4]
            if named or os.getsid(process.pid) == leader:
                found.append(process)
    return found


def test_killed_harness_resumes_to_the_same_bytes(document, tmp_path):
    """SIGKILL to the harness half-way, then a second start: the tables equal the uninterrupted ones."""
    grid = make_grid(document)
    run(grid, tmp_path / "whole")
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(document))
    out = tmp_path / "killed"
    script = (
        "import sys; from equirgz.grid.plan.grid import load_grid; from equirgz.grid.runner import run_grid;"
        "from equirgz.grid.engine.engine_config import make_engine_config;"
        "run_grid(load_grid(sys.argv[1]), sys.argv[2], engine=make_engine_config(jobs=2), cell='fake_cells:slow')"
    )
    harness = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "grid.yaml"), str(out)], start_new_session=True
    )
    await_(lambda: len(list((out / "cells").glob("*.json"))) >= 2)
    harness.send_signal(signal.SIGKILL)
    harness.wait()
    await_(lambda: not processes_that_follow(harness.pid))
    done = len(ResultsFolder(out).scan([config.run_key() for config in grid.runs]).done)
    assert 2 <= done < 8
    summary = run(grid, out)
    assert summary.found == done and summary.complete
    assert published(out) == published(tmp_path / "whole")


def test_runs_that_share_a_pretraining_wait_for_the_one_that_computes_it(document, tmp_path):
    document["base"]["pretrain"] = {}
    document["axes"] = {"n_labels": [10, 20, 30], "seed": [0, 1]}
    events = []
    listen = lambda event, facts: events.append((event, facts))  # noqa: E731
    summary = run(make_grid(document), tmp_path, "pretraining", report=listen)
    assert summary.complete
    assert [facts["runs"] for event, facts in events if event == "pretrained"] == [3, 3]
    assert len(list((tmp_path / "pretrained").glob("*.json"))) == 2


def test_runs_that_share_stages_wait_for_one_after_another(document, tmp_path):
    alone = {"objective": {"name": "simclr"}}
    document["axes"] = {
        "before": [
            {"label": "one", "pretrain": {}},
            {"label": "two", "pretrain": [{}, alone]},
            {"label": "three", "pretrain": [{}, alone, {}]},
            {"label": "other", "pretrain": alone},
        ],
        "n_labels": [10, 20],
    }
    events = []
    listen = lambda event, facts: events.append((event, facts))  # noqa: E731
    assert run(make_grid(document), tmp_path, "staged", report=listen).complete
    assert sorted(facts["runs"] for event, facts in events if event == "pretrained") == [2, 2, 4, 6]
    assert len(list((tmp_path / "pretrained").glob("*.json"))) == 4


def test_a_failed_pretraining_fails_the_runs_that_need_it_and_no_other(document, tmp_path):
    document["base"]["pretrain"] = {}
    document["axes"] = {"n_labels": [10, 20], "seed": [0, 1]}
    grid = make_grid(document)
    summary = run(grid, tmp_path, "pretraining_fails_for_odd_seeds")
    assert (summary.finished, summary.failed) == (2, 2)
    for config in grid.runs:
        if config.seed == 1:
            record = ResultsFolder(tmp_path).read_failed(config.run_key())
            assert record["error"] == "its pre-training failed: seed: expected an even one, got an odd one"
            assert "Traceback" in record["traceback"]


def test_two_harnesses_on_one_folder_are_refused(document, tmp_path):
    folder = ResultsFolder(tmp_path)
    with folder.lock(), pytest.raises(ResultsError, match=f"in use by another harness .process {os.getpid()} on"):
        run(make_grid(document), tmp_path)
    assert run(make_grid(document), tmp_path).complete  # the text a dead holder left is no obstacle


def test_results_of_another_version_or_grid_are_refused_and_kept(document, tmp_path, monkeypatch):
    grid = make_grid(document)
    run(grid, tmp_path)
    before = published(tmp_path)
    monkeypatch.setattr(folder_module, "code_version", lambda: "9.9.9")
    with pytest.raises(ResultsError, match="expected results of equirgz 9.9.9, got those of .*choose another --out"):
        run(grid, tmp_path)
    monkeypatch.undo()
    with pytest.raises(ResultsError, match="grid 'other', got those of 'tiny'"):
        run(make_grid({**document, "name": "other"}), tmp_path)
    assert published(tmp_path) == before


@pytest.mark.parametrize("content", ['{"run_key": ', '{"foreign": 1}', "[]"])
def test_damaged_or_foreign_runs_are_left_out_then_set_aside_and_computed_again(document, tmp_path, content, caplog):
    grid = make_grid(document)
    run(grid, tmp_path)
    before = published(tmp_path)
    victim = ResultsFolder(tmp_path).cell(grid.points[3].run_key)
    victim.write_text(content)
    with caplog.at_level("WARNING", "equirgz"):
        rows = pd.read_csv(collect(tmp_path))  # the others, and a line about this one
    assert rows.run_key.nunique() == len(grid.points) - 1 and victim.read_text() == content
    assert victim.stem in caplog.text and "left out as missing" in caplog.text
    lines = describe_status(tmp_path)
    assert " 1 missing" in lines[0] and lines[-1].endswith(
        "counts as missing; `equirgz bench run` sets it aside and runs it again"
    )
    summary = run(grid, tmp_path)
    assert summary.finished == 1 and summary.complete
    assert "set aside" in summary.notes[0]
    assert victim.with_suffix(".json.damaged").read_text() == content
    assert published(tmp_path) == before


def test_code_that_changed_under_a_running_grid_stops_it(document, tmp_path, monkeypatch):
    monkeypatch.setattr(task_module, "code_version", iter([*["1"] * 8, "2"]).__next__)
    with pytest.raises(ResultsError, match="expected version 1, got 2; put it back.*finished runs are kept"):
        run(make_grid(document), tmp_path)


def test_foreign_grid_json_is_refused(document, tmp_path):
    (tmp_path / "grid.json").write_text("{}")
    with pytest.raises(ResultsError, match="expected the plan of a grid"):
        run(make_grid(document), tmp_path)


def test_runs_that_left_the_plan_stay_on_disk_but_not_in_the_rows(document, tmp_path):
    run(make_grid(document), tmp_path)
    smaller = make_grid(document, ["group=C1"])
    summary = run(smaller, tmp_path)
    assert summary.found == 4 and "no part of this grid" in summary.notes[0]
    assert set(pd.read_csv(collect(tmp_path)).group) == {"C1"}
    assert len(list((tmp_path / "cells").glob("*.json"))) == 8


def test_unwritable_folder_is_one_clear_line(document, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot write .*choose a writable folder"):
        run(make_grid(document), tmp_path / "file" / "out")


@pytest.mark.parametrize("options", [{"engine": "locl"}, {"jobs": 0}])
def test_bad_options_are_refused(document, tmp_path, options):
    with pytest.raises(InputError, match="--engine"):
        run(make_grid(document), tmp_path, **options)


def test_collected_tables(document, tmp_path):
    document["axes"]["model"] = [{"label": "thin", "width": 0.5}, {"label": "wide", "width": 2.0}]
    run(make_grid(document), tmp_path)
    rows = pd.read_csv(collect(tmp_path))
    assert list(rows.columns)[-1] == "model" and set(rows.model) == {"thin", "wide"}
    assert len(rows) == 32 and rows.value.isna().sum() == 16
    assert rows.run_key.is_monotonic_increasing
    predictions = pd.read_csv(tmp_path / "predictions.csv.gz")
    assert {"group", "model", "seed", "source_id", "target", "p0", "p1"} <= set(predictions.columns)
    assert (abs(predictions.p0 + predictions.p1 - 1) < 1e-6).all() and len(predictions) == 32
    assert set(pd.read_csv(tmp_path / "timings.csv").metric) == {"train/seconds"}
    cell = json.loads(next((tmp_path / "cells").glob("*.json")).read_text())
    assert cell["provenance"]["packages"]["torch"] and cell["seconds"] > 0
