"""Two processes over gloo train as one process does on the whole batch, and resume as if never interrupted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from equirgz.config import TrainConfig
from equirgz.errors import InputError
from equirgz.objectives import create_objective
from equirgz.train import TrainImages
from equirgz.train.batches import BatchMaker
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
