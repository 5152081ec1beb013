"""Two processes over gloo train as one process does on the whole batch, and resume as if never interrupted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from equirgz.config import TrainConfig
from equirgz.errors import InputError
from equirgz.objectives import create_objective
from equirgz.train import TrainImages
from equirgz.train.fabric import make_fabric
from equirgz.train.sources.batches import BatchMaker
from tests.train import ddp_worker
from tests.train.toy import make_backbone, make_task

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without distributed")
def test_two_processes_equal_one(tmp_path):
    command = [sys.executable, "-m", "tests.train.ddp_worker", "2", str(tmp_path / "curves.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    two = json.loads((tmp_path / "curves.json").read_text())
    one = ddp_worker.run()
    assert two.pop("batch norm") == pytest.approx(one.pop("batch norm"), rel=1e-12, abs=1e-12)
    for name, curve in one.items():
        assert two[name] == pytest.approx(curve, rel=1e-6), name
    assert two["resumed"] == two["whole"], "each process goes on with its own dropout"


def test_batch_is_divided_evenly_or_refused():
    x_NCHW, y_N = make_task(7)
    objective = create_objective("supervised", make_backbone(), 2)
    maker = BatchMaker(objective, TrainImages(x_NCHW, y_N), TrainConfig(batch_size=64), 0, multiple=3)
    assert len(maker.next().label_B) == 6
    with pytest.raises(InputError, match="in each of 4 parts"):
        BatchMaker(objective, TrainImages(x_NCHW, y_N), TrainConfig(batch_size=64), 0, multiple=4)


RUN = """
data: {name: synthetic_fr, image_size: 33, params: {n_train: 40, n_test: 20, n_unlabelled: 24}}
split: {n_labels: 16}
backbone: {name: steerable_cnn, group: C4, params: {fields: [2, 2], kernel_sizes: [5, 3]}}
pretrain:
  objective: {name: byol, params: {hidden: 8, projection: 4}}
  train: {steps: 3, batch_size: 8, augmentation: flips, precision: 64-true}
train: {steps: 3, batch_size: 8, augmentation: flips, precision: 64-true}
evaluation: {readouts: [network, linear_probe]}
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without distributed")
def test_command_line_pretrains_and_trains_in_two_processes(tmp_path):
    (tmp_path / "run.yaml").write_text(RUN)
    rows, printed = {}, {}
    for n in ("1", "2"):
        command = [sys.executable, "-m", "equirgz", "train", str(tmp_path / "run.yaml"), "--out", str(tmp_path / n)]
        done = subprocess.run(
            [*command, "--device", "cpu", "--processes", n], cwd=ROOT, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr[-2000:]
        printed[n] = [line for line in done.stdout.splitlines() if line.startswith("encoder")]
        result = json.loads((tmp_path / n / "run.json").read_text())
        rows[n] = {(r["split"], r["readout"], r["metric"], r["angle_deg"]): r["value"] for r in result["rows"]}
    assert [len(lines) for lines in printed.values()] == [1, 1], "the first process alone reports"
    timings = {t["metric"]: t["value"] for t in result["timings"]}
    assert timings["train/processes"] == 2
    measured = ("nll/mean", "error/rate")
    chosen = [key for key in rows["1"] if key[2] in measured]
    assert {key[1] for key in chosen} >= {"network", "linear_probe"}
    assert [rows["2"][key] for key in chosen] == pytest.approx([rows["1"][key] for key in chosen], rel=1e-3)


def test_one_process_is_one_on_a_host_and_in_a_job_of_slurm(tmp_path, monkeypatch):
    srun = tmp_path / "srun"
    srun.write_text("")
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert make_fabric(device="cpu").world_size == 1  # and no warning, which would be an error here
    make_fabric(device="cpu", processes=2)
    for name, value in {"NTASKS": "4", "NTASKS_PER_NODE": "4", "PROCID": "3", "JOB_NAME": "train"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    fabric = make_fabric(device="cpu")
    assert (fabric.world_size, fabric.global_rank) == (1, 0)


def test_processes_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="at least 1"):
        make_fabric(device="cpu", processes=0)
    with pytest.raises(InputError, match="one GPU"):
        make_fabric(device="cuda:1", processes=2)
