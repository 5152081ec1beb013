"""Trains small objectives in as many processes as asked; process 0 writes the loss curves as JSON.

A training with dropout is also interrupted and resumed, beside the JSON file.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

from equirgz.config import OptimizerConfig, TrainConfig
from equirgz.objectives import create_objective
from equirgz.train import TrainImages, train
from equirgz.train.run import TrainingRun
from equirgz.train.trainer import make_fabric
from tests.train.toy import make_backbone, make_task

CONFIG = TrainConfig(steps=5, batch_size=8, augmentation="flips", optimizer=OptimizerConfig(lr=0.01))
# Without batch norm, which sees its share of the batch alone, the numbers must be those of one process.
NAMES = ("supervised", "fixmatch", "sidda", "sinkhorn", "mmd", "dann", "ivon")


def make(name: str):
    return create_objective(name, make_backbone(norm=False), 2, init_seed=1)


def make_contrastive(name: str):
    objective = create_objective(name, make_backbone(norm=False), 2, init_seed=1, hidden=16, projection=8)
    del objective.projector[1]  # the batch norm
    return objective


def run(fabric=None) -> dict[str, list[float]]:
    x_NCHW, y_N = make_task(16)
    u_MCHW, _ = make_task(40, seed=5)
    curves = {}
    for name in (*NAMES, "simclr", "vicreg"):
        objective = make_contrastive(name) if name in ("simclr", "vicreg") else make(name)
        rows = train(
            objective, TrainImages(x_NCHW, y_N, u_MCHW), CONFIG, seed=0, fabric=fabric, log_every=1
        ).rows
        curves[name] = [row["loss"] for row in rows]
    return curves


class Stop(Exception):
    pass


def run_interrupted(folder: Path, fabric) -> dict[str, list[float]]:
    """Return the losses of a training with dropout, whole and stopped after 5 of 7 updates to be resumed."""
    config, update = CONFIG.model_copy(update={"steps": 7}), TrainingRun.update
    images, keywords = (
        TrainImages(*make_task(16)),
        {"seed": 0, "fabric": fabric, "log_every": 1, "checkpoint_every": 2},
    )

    def begin(name: str):
        objective = create_objective("supervised", make_backbone(norm=False, dropout=0.5), 2, init_seed=1)
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
    return {"whole": whole.curve("loss"), "resumed": resumed.curve("loss")}


if __name__ == "__main__":
    several = make_fabric(CONFIG, devices=int(sys.argv[1]))
    several.launch()
    found = run(several) | run_interrupted(Path(sys.argv[2]).parent, several)
    if several.is_global_zero:
        Path(sys.argv[2]).write_text(json.dumps(found))
