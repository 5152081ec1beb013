"""Trains small objectives in as many processes as asked; process 0 writes the loss curves as JSON.

A training with dropout is also interrupted and resumed, beside the JSON file.
"""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from equirgz.backbones import create_backbone
from equirgz.config import OptimizerConfig, TrainConfig
from equirgz.objectives import create_objective
from equirgz.objectives.gather import gather_rows
from equirgz.tasks import Classification
from equirgz.tasks.regression import Quantity, Regression
from equirgz.tasks.several import Several
from equirgz.train import TrainImages, train
from equirgz.train.batch_norm import synchronised
from equirgz.train.fabric import make_fabric
from equirgz.train.log import TrainLog
from equirgz.train.run import TrainingRun
from equirgz.train.sources.fresh import Drawn, FreshSources
from tests.train.toy import make_backbone, make_task

CONFIG = TrainConfig(
    precision="64-true", steps=5, batch_size=8, augmentation="flips", optimizer=OptimizerConfig(lr=0.01)
)
SMALL = {"hidden": 16, "projection": 8}
TRAININGS = {  # objective and its options; none draws noise, of which each process has its own
    "supervised": {},
    "fixmatch": {"distribution_alignment": True, "threshold": 0.5},
    "sidda": {},
    "sinkhorn": {},
    "mmd": {},
    "dann": {},
    "ivon": {},
    "byol": SMALL,
    "simclr": SMALL,
    "vicreg": SMALL,
    "lejepa": SMALL | {"n_directions": 8},
    "distill": {},
    "hybrid": SMALL,
}


def make_images() -> TrainImages:
    return TrainImages(*make_task(16), make_task(40, seed=5)[0])


def make_votes() -> torch.Tensor:
    """Return counts for two questions; most sources were not asked the second."""
    votes_NA = torch.randint(1, 9, (16, 5), generator=torch.Generator().manual_seed(3)).double()
    votes_NA[torch.arange(16) % 5 > 0, 2:] = torch.nan
    return votes_NA


def make_several() -> tuple[Several, torch.Tensor]:
    """Return a class and a number at once, many missing: a process often has none of either in its share."""
    task = Several((Classification(("a", "b")), Regression((Quantity("size"),))), (1.0, 0.5))
    target_N2 = torch.stack([torch.arange(16) % 2, torch.linspace(-1, 2, 16)], 1).double()
    target_N2[4:, 0] = torch.nan
    target_N2[:13, 1] = torch.nan
    return task, target_N2


def make_fresh(start: int, n: int) -> Drawn:
    """Return new sources, each made by numpy from its number: bright left halves, and bright right halves."""
    numbers = range(start, start + n)
    image_NHW = np.stack([0.3 * np.random.default_rng(number).random((9, 9)) for number in numbers]).astype(np.float32)
    for image_HW, number in zip(image_NHW, numbers, strict=True):
        image_HW[:, slice(0, 4) if number % 2 == 0 else slice(5, 9)] += 0.7
    return Drawn(image_NHW[:, None], None, np.array([number % 2 for number in numbers]))


def make_joint() -> TrainImages:
    """Return twelve sources and, as a part of their own, ever new ones."""
    x_NCHW, y_N = make_task(16)
    fresh = FreshSources(make_fresh, "toy")
    return TrainImages(x_NCHW, y_N, parts_of_labelled=[(12, 0.5), (4, 0.5)], fresh={"labelled": fresh})


def losses(log: TrainLog) -> list[float]:
    return [row["loss"] for row in log.rows]


def run(fabric=None) -> dict[str, list[float]]:
    """Return the losses of each training, and the numbers of one batch-norm layer in float64."""
    keywords = {"seed": 0, "fabric": fabric, "log_every": 1}
    curves = {}
    for name, options in TRAININGS.items():
        objective = create_objective(name, make_backbone(), 2, init_seed=1, **options)
        curves[name] = losses(train(objective, make_images(), CONFIG, **keywords))
    objective = create_objective(
        "hybrid", make_backbone(), 2, init_seed=1, questions=(2, 3), balance="matched", **SMALL
    )
    curves["votes"] = losses(train(objective, replace(make_images(), y_N=make_votes()), CONFIG, **keywords))
    task, target_N2 = make_several()
    objective = create_objective("supervised", make_backbone(), init_seed=1, task=task)
    curves["several"] = losses(train(objective, replace(make_images(), y_N=target_N2), CONFIG, **keywords))
    objective = create_objective("supervised", make_backbone(), 2, init_seed=1)
    curves["joint"] = losses(train(objective, make_joint(), CONFIG.model_copy(update={"ema": 0.9}), **keywords))
    torch.manual_seed(0)
    steerable = create_backbone("steerable_lenet", group="C4", image_size=33, width=2)
    objective = create_objective("supervised", steerable, 2, init_seed=1)
    curves["steerable"] = losses(train(objective, TrainImages(*make_task(16, 33)), CONFIG, **keywords))
    return curves | {"batch norm": step_batch_norm(fabric)}


def step_batch_norm(fabric) -> list[float]:
    """Return outputs, gradients and running statistics after one step on 12 sources, shared by the processes."""
    size, rank = (1, 0) if fabric is None else (fabric.world_size, fabric.global_rank)
    layer = torch.nn.BatchNorm2d(3, dtype=torch.float64)
    x_BCHW = torch.randn(12, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    share_BCHW = x_BCHW.chunk(size)[rank].clone().requires_grad_()
    with synchronised(layer, size):
        y_BCHW = layer(share_BCHW)
    (y_BCHW**3 + y_BCHW.sin()).sum().backward()
    rows = [gather_rows(rows_BCHW) for rows_BCHW in (y_BCHW.detach(), share_BCHW.grad)]
    weights = [gather_rows(weight.grad[None]).sum(0) for weight in (layer.weight, layer.bias)]
    assert layer.state_dict().keys() == torch.nn.BatchNorm2d(3).state_dict().keys()
    buffers = [layer.running_mean, layer.running_var, layer.num_batches_tracked]
    return torch.cat([values.flatten() for values in (*rows, *weights, *buffers)]).tolist()


class Stop(Exception):
    pass


def run_interrupted(folder: Path, fabric) -> dict[str, list[float]]:
    """Return the losses of a training with dropout, whole and stopped after 5 of 7 updates to be resumed."""
    config, update, images = CONFIG.model_copy(update={"steps": 7}), TrainingRun.update, make_images()
    keywords = {"seed": 0, "fabric": fabric, "log_every": 1, "checkpoint_every": 2}

    def begin(name: str):
        objective = create_objective("supervised", make_backbone(dropout=0.5), 2, init_seed=1)
        return train(objective, images, config, work_dir=folder / name, **keywords)

    def limited(run: TrainingRun):
        if run.step == 5:
            raise Stop
        return update(run)

    whole = begin("whole")
    TrainingRun.update = limited
    with contextlib.suppress(Stop):
        begin("parts")
    TrainingRun.update = update
    resumed = begin("parts")
    assert resumed.resumed_from == 4
    return {"whole": losses(whole), "resumed": losses(resumed)}


if __name__ == "__main__":
    several = make_fabric(CONFIG.precision, processes=int(sys.argv[1]))
    several.launch()
    found = run(several) | run_interrupted(Path(sys.argv[2]).parent, several)
    if several.is_global_zero:
        Path(sys.argv[2]).write_text(json.dumps(found))
