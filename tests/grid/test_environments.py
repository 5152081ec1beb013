"""``provenance.csv``: one line per environment, the same bytes twice, nothing that names a host or a path."""

from __future__ import annotations

import os
import platform
import socket

import pandas as pd

from equirgz.grid.engine.engine_config import make_engine_config
from equirgz.grid.plan.grid import make_grid
from equirgz.grid.results.collect import collect
from equirgz.grid.results.environments import list_environments
from equirgz.grid.results.folder import ResultsFolder
from equirgz.grid.runner import run_grid
from equirgz.records import read_json, write_json_atomic


def test_collecting_a_grid_writes_where_its_runs_were_computed(document, tmp_path):
    """Two of eight runs are said to come from a GPU: two lines, whose keys are all keys of the rows."""
    run_grid(make_grid(document), tmp_path, cell="fake_cells:instant", engine=make_engine_config("inline"))
    folder = ResultsFolder(tmp_path)
    keys = sorted(run["run_key"] for run in folder.read_plan()["runs"])
    for key in keys[2:4]:
        cell = read_json(folder.cell(key))
        cell["provenance"]["device"] |= {"device": "cuda", "gpu": "A GPU"}
        write_json_atomic(folder.cell(key), cell)
    collect(tmp_path)
    lines = pd.read_csv(tmp_path / "provenance.csv", dtype=str, keep_default_na=False)
    assert lines.n_runs.tolist() == ["6", "2"] and lines.gpu.tolist() == ["", "A GPU"]
    assert lines.device.tolist() == ["cpu", "cuda"] and lines.run_keys[1].split() == keys[2:4]
    assert sorted(" ".join(lines.run_keys).split()) == keys and lines.environment.nunique() == 2
    assert set(lines.python) == {platform.python_version()} and (lines.torch != "").all()
    written = (tmp_path / "provenance.csv").read_bytes()
    for secret in (socket.gethostname(), str(tmp_path), os.getcwd()):
        assert secret.encode() not in written
    collect(tmp_path)
    assert (tmp_path / "provenance.csv").read_bytes() == written


def test_what_a_run_did_not_record_is_empty_and_order_does_not_matter():
    device, packages = {"device": "cpu", "cores": 2}, {"extra": "3", "torch": "2"}
    full = {"provenance": {"version": "1", "device": device, "packages": packages}}
    cells = {"c": full, "a": {}, "b": full, "d": {"provenance": {"version": "1"}}}
    columns, lines = list_environments(cells)
    assert (columns, lines) == list_environments(dict(reversed(cells.items())))
    assert columns[-3:] == ("torch", "extra", "run_keys")
    assert [line["run_keys"] for line in lines] == ["b c", "a", "d"] and [line["n_runs"] for line in lines] == [2, 1, 1]
    assert lines[0]["cores"] == 2 and lines[1]["version"] == "" and lines[2]["version"] == "1"
    assert list_environments({})[1] == []
