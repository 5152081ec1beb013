"""One grid computed on several machines: its folders joined are the folder of one machine."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

from equirgz.cli import app
from equirgz.errors import ResultsError
from equirgz.grid.engine.engine_config import make_engine_config
from equirgz.grid.plan.grid import make_grid
from equirgz.grid.results.collect import collect
from equirgz.grid.results.merge import merge_results
from equirgz.grid.runner import run_grid


def run(document, out, *overrides, cell="instant"):
    run_grid(make_grid(document, overrides), out, engine=make_engine_config("inline"), cell=f"fake_cells:{cell}")
    return out


def change(file, edit):
    record = json.loads(file.read_text())
    edit(record)
    file.write_text(json.dumps(record))


@pytest.fixture
def halves(document, tmp_path):
    return [run(document, tmp_path / f"machine{k}", f"seed={values}") for k, values in enumerate(("[0, 2]", "[1, 2]"))]


def test_joined_halves_are_the_whole(document, halves, tmp_path):
    document["axes"]["seed"] = [0, 2, 1]
    whole = run(document, tmp_path / "whole")
    before = {path: path.read_bytes() for half in halves for path in half.rglob("*") if path.is_file()}
    merged = merge_results(halves, tmp_path / "out")
    assert (list(merged.done.values()), merged.failed, merged.missing, merged.notes) == ([8, 8], 0, 0, [])
    for name in ("rows.csv", "predictions.csv.gz"):
        assert (collect(tmp_path / "out").parent / name).read_bytes() == (collect(whole).parent / name).read_bytes()
    plans = [json.loads((folder / "grid.json").read_text()) for folder in (tmp_path / "out", whole)]
    assert plans[0]["axes"] == plans[1]["axes"] and plans[0]["document"] == plans[1]["document"]
    assert before == {path: path.read_bytes() for half in halves for path in half.rglob("*") if path.is_file()}
    again = run_grid(make_grid(document), tmp_path / "out", engine=make_engine_config("inline"), cell="none:at_all")
    assert again.complete and not again.finished  # nothing is left to do


def test_a_run_that_failed_on_one_machine_may_be_finished_by_another(document, tmp_path):
    broken = run(document, tmp_path / "a", cell="odd_seeds_fail")
    assert merge_results([broken], tmp_path / "alone").failed == 4
    merged = merge_results([broken, run(document, tmp_path / "b", "seed=[1]")], tmp_path / "out")
    assert (merged.failed, merged.missing) == (0, 0) and not list((tmp_path / "out" / "cells").glob("*.failed.json"))


def other_version(half):
    change(half / "grid.json", lambda plan: plan.update(version="9"))


def other_steps(half):
    change(half / "grid.json", lambda plan: plan["document"]["base"]["train"].update(steps=6))


def other_name(half):
    change(half / "grid.json", lambda plan: plan.update(name="other"))


def other_data(half):
    for cell in (half / "cells").iterdir():
        change(cell, lambda record: [row.update(data_checksum="d") for row in record["rows"]])


def other_numbers(half):
    for cell in (half / "cells").iterdir():
        change(cell, lambda record: record["rows"][0].update(value=-1.0))


def no_cells(half):
    shutil.rmtree(half / "cells")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (other_version, "expected equirgz .*, got 9; numbers of two versions are not mixed"),
        (other_steps, "got another 'base'"),
        (other_name, "expected grid 'tiny', .*got another 'name', 'other'"),
        (other_data, "the same numbers|expected checksum c, got d"),
        (other_numbers, "run .* expected the same numbers, got others"),
        (no_cells, "expected a results folder with grid.json and cells/.*got no cells/"),
    ],
)
def test_what_does_not_belong_together_is_refused_and_nothing_written(halves, tmp_path, spoil, message):
    spoil(halves[1])
    with pytest.raises(ResultsError, match=message):
        merge_results(halves, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_data_are_refused_where_no_run_is_shared(document, tmp_path):
    halves = [run(document, tmp_path / f"machine{k}", f"seed=[{k}]") for k in range(2)]
    other_data(halves[1])
    with pytest.raises(
        ResultsError, match="data synthetic_fr in .*machine0 and .*machine1: expected checksum c, got d"
    ):
        merge_results(halves, tmp_path / "out")


def test_a_folder_with_files_is_not_written_into(halves, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    for out in (tmp_path / "out", halves[0], tmp_path / "out" / "mine.txt"):
        with pytest.raises(ResultsError, match="expected a new or empty folder"):
            merge_results(halves, out)


def test_the_command_says_what_came_from_where(halves, tmp_path):
    done = CliRunner().invoke(app, ["bench", "merge", *map(str, halves), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "8 runs from" in done.output and "0 failed, 0 missing" in done.output
    assert (tmp_path / "out" / "rows.csv").exists()
