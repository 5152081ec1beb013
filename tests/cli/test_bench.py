import os
import re
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from typer.testing import CliRunner

from equirgz import provenance
from equirgz.cli import app, main
from equirgz.errors import InputError

DOCUMENT = {
    "name": "tiny",
    "base": {
        "data": {"name": "synthetic_fr", "image_size": 17, "params": {"n_train": 40, "n_test": 20}},
        "backbone": {"name": "steerable_lenet", "width": 0.5},
        "train": {"steps": 2, "batch_size": 8, "augmentation": "none"},
        "evaluation": {"rotation_angles": 2},
    },
    "axes": {"group": ["C1", "D4"], "n_labels": [10, None], "replicate": [0, 1]},
}


@pytest.fixture
def grid(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "no-repository"))
    monkeypatch.setenv("COLUMNS", "200")
    provenance.code_version.cache_clear()
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(DOCUMENT))
    yield path
    provenance.code_version.cache_clear()


def call(*arguments, status=0):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == status, done.output + repr(done.exception)
    return done.output


def test_run_writes_and_shows_everything_and_a_second_start_does_nothing(grid, tmp_path):
    out = tmp_path / "out"
    arguments = ("bench", "run", grid, "--out", out, "--engine", "inline", "--device", "cpu")
    text = call(*arguments)
    assert "8 runs in 4 cells" in text and "Error (%)" in text and "10 labels" in text and "40 labels" in text
    figures = re.findall(r"figure +(\S+)", text)
    assert len(figures) >= 4 and all(Path(path).exists() for path in figures)
    assert {path.suffix for path in (out / "tables").rglob("*.*")} == {".csv", ".md", ".tex"}
    assert pd.read_csv(out / "rows.csv").run_key.nunique() == 8
    written = [path for folder in ("cells", "tables", "figures") for path in (out / folder).rglob("*.*")]
    stamps = {path: path.stat().st_mtime_ns for path in written}
    assert "nothing to do: all 8 runs are finished" in call(*arguments)
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}
    assert "8 of 8 runs finished" in call("bench", "status", out)
    before = (out / "tables" / "error_rate_test_network.md").read_bytes()
    call("bench", "tables", out)
    assert (out / "tables" / "error_rate_test_network.md").read_bytes() == before


def test_dry_run_shows_cells_and_cost_and_writes_nothing(grid, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = set(os.listdir(tmp_path))
    text = call("bench", "run", grid, "--dry-run", "--jobs", 2, "--set", "n_labels=10")
    assert "group=D4 n_labels=10: 2 runs" in text
    assert "4 runs in 2 cells" in text and "--jobs 2" in text
    assert set(os.listdir(tmp_path)) == before


def test_failed_runs_give_a_table_with_gaps_and_exit_status_1(grid, tmp_path):
    """A learning rate that diverges fails its runs; the others are tabulated."""
    arguments = (
        "bench",
        "run",
        grid,
        "--out",
        tmp_path / "out",
        "--engine",
        "inline",
        "--device",
        "cpu",
        "--set",
        "lr=[0.001, 1e30]",
        "--set",
        "n_labels=10",
        "--set",
        "steps=5",
    )
    text = call(*arguments, status=1)
    assert "4 of 8 runs failed" in text and "--retry-failed" in text and "failed" in text
    status = call("bench", "status", tmp_path / "out")
    assert "4 of 8 runs finished, 4 failed" in status and "expected a finite number" in status


def test_errors_are_one_line_and_status_2(grid, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["equirgz", "bench", "run", str(grid), "--set", "grup=C1"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines == ["equirgz: --set: unknown key 'grup'; did you mean 'group'? Valid: " + lines[0].split("Valid: ")[1]]


def test_devices_that_are_not_there_are_refused(grid):
    done = CliRunner().invoke(app, ["bench", "run", str(grid), "--device", "cuda:99"])
    assert isinstance(done.exception, InputError) and "expected one of" in str(done.exception)
    done = CliRunner().invoke(app, ["bench", "run", str(grid), "--device", "gpu"])
    assert isinstance(done.exception, InputError) and "expected cpu, cuda" in str(done.exception)


@pytest.mark.parametrize(
    ("lines", "options", "device"),
    [
        ("name: slurm\ngpus: 4\ndevice: cuda:1\n", (), "cuda:1"),
        ("name: slurm\ngpus: 4\n", (), "cuda"),
        ("name: slurm\n", (), "cpu"),
        ("name: slurm\ndevice: cpu\n", ("--device", "cuda"), "cuda"),
        ("name: inline\n", (), "cuda" if torch.cuda.is_available() else "cpu"),
    ],
)
def test_the_device_of_an_engine_is_that_of_its_file_unless_one_is_given(
    grid, tmp_path, monkeypatch, lines, options, device
):
    """Those of SLURM jobs are not looked for on this host."""
    seen = []

    def stop(*_, engine, **__):
        seen.append(engine.device)
        raise InputError("stop")

    monkeypatch.setattr("equirgz.grid.runner.run_grid", stop)
    (tmp_path / "engine.yaml").write_text(lines)
    CliRunner().invoke(app, ["bench", "run", str(grid), "--engine", str(tmp_path / "engine.yaml"), *options])
    assert seen == [device]


def test_models_data_and_version():
    assert re.search(r"steerable_lenet +D4 ", call("models", "steerable_lenet", "--group", "D4"))
    assert "synthetic_fr" in call("data", "list")
    sizes = ("--set", "params.n_train=12", "--set", "params.n_test=4")
    assert re.search(r"train +12 images +6 FRI, 6 FRII", call("data", "check", "synthetic_fr", *sizes))
    assert call("--version").startswith("equirgz 0.")


def test_audit_command():
    text = call("audit", "steerable_lenet", "--group", "C4", "--image-size", 17)
    assert "C4" in text


def test_audit_of_a_flattening_head_exits_1_and_says_why():
    arguments = ["audit", "steerable_lenet", "--group", "C4", "--image-size", "17", "--set", "head=flatten"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1
    assert "FAILED: features change" in done.output and "head='invariant'" in done.output


def test_readme_command_fills_and_checks(tmp_path):
    (tmp_path / "grid").mkdir()
    (tmp_path / "grid" / "grid.json").write_text('{"name": "g", "question": "Why?", "runs": [], "version": "1"}')
    readme = tmp_path / "README.md"
    readme.write_text("<!-- index: . -->\n<!-- end -->\n")
    done = CliRunner().invoke(app, ["bench", "readme", str(readme), "--check"])
    assert done.exit_code != 0 and "equirgz bench readme" in str(done.exception)
    assert "filled" in call("bench", "readme", readme) and "| [g](grid) | Why? |" in readme.read_text()
    assert "up to date" in call("bench", "readme", readme, "--check")


@pytest.mark.parametrize("jobs", [0, -1])
def test_fewer_jobs_than_one_are_refused(grid, jobs):
    done = CliRunner().invoke(app, ["bench", "run", str(grid), "--jobs", str(jobs)])
    assert isinstance(done.exception, InputError)
    assert str(done.exception) == f"--jobs: expected 1 or more, got {jobs}; leave it out for one per core"
