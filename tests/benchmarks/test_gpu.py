"""The script for a GPU runs, shortened, on a CPU, and refuses what makes no sense."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmarks.gpu.__main__ import main
from benchmarks.gpu.precisions import LIMITS, computing_in

ROOT = Path(__file__).resolve().parents[2]


def test_the_script_runs_on_a_cpu(tmp_path):
    out = tmp_path / "gpu"
    command = [str(ROOT / "benchmarks" / "gpu.sh"), "--device", "cpu", "--smoke", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ | {"EQUIRGZ_DATA": ""})
    assert done.returncode == 0, done.stdout + done.stderr
    parity, steps = (pd.read_csv(out / f"{name}.csv") for name in ("parity", "steps"))
    assert set(parity.precision) == set(LIMITS) and (parity.error <= parity.limit).all()
    assert (parity.error[parity.precision == "bf16"] > parity.error[parity.precision == "float32"].max()).all()
    assert {"native", "plain"} <= set(steps.engine) and (steps.train_step_s > 0).all()
    record = json.loads((out / "run.json").read_text())
    assert 0 <= record["mirabest_d4"]["test_error_percent"] <= 100 and record["mirabest_d4"]["n_test"] == 30
    named = " ".join(record["notes"])
    assert "simulated sources" in named and "rehearsal" in named
    for engine in {"escnn", "e2cnn"} - set(steps.engine):
        assert f"{engine} was left out: " in named
    assert (out / "gpu.md").read_text() == done.stdout


@pytest.mark.parametrize(
    ("arguments", "line"),
    [(["--device", "cpu"], "expected --smoke"), (["--device", "cuda"], "expected a GPU that this torch sees")],
)
def test_what_makes_no_sense_is_refused_in_one_line(arguments, line, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2 and line in capsys.readouterr().err


def test_settings_of_torch_come_back():
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    with computing_in("tf32", "cpu"):
        assert torch.backends.cudnn.allow_tf32 and torch.backends.cuda.matmul.allow_tf32
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == before
