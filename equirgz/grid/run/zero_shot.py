"""The read-out ``zero_shot``: what the last stage of a pre-training says of the run's classes, without a label of it.

Legend: N sources, K classes.
"""

from __future__ import annotations

import numpy as np

from equirgz.errors import InputError
from equirgz.evaluate import predict_samples
from equirgz.grid.run.blocks import Block
from equirgz.grid.run.trained import TrainedRun, make_block
from equirgz.objectives.base import Objective
from equirgz.seeding import derive_seed
from equirgz.tasks import Task

NAME = "zero_shot"


def read_zero_shot(run: TrainedRun, last: Objective | None) -> list[Block]:
    """Return the answers of the last stage's head on the run's sets, where they are asked for.

    Batch norm is as the stage left it. Probabilities of classes that the run does not have are left out, and the
    others scaled to a sum of 1.
    """
    if NAME not in run.config.evaluation.readouts:
        return []
    if last is None:
        raise InputError("evaluation.readouts: zero_shot", expected="a last stage with classes", got="none")
    columns = match_outputs(last.task, run.task)
    blocks = []
    for split, images in run.eval_sets.items():
        answer_SNO = predict_samples(
            last,
            images.x_NCHW,
            last.n_predictive_samples,
            run.batch_size,
            views=run.config.evaluation.views,
            seed=derive_seed(run.config.seed, "predict"),
        )
        probability_NK = np.maximum(answer_SNO.mean(0)[:, columns], np.finfo(np.float64).tiny)
        blocks.append(make_block(run, NAME, split, probability_NK / probability_NK.sum(1, keepdims=True)))
    return blocks


def match_outputs(stage: Task, asked: Task) -> list[int]:
    """Return the outputs of a stage's head that are the classes of a run, in the run's order, matched by name.

    Raises InputError where the stage does not tell them all apart.
    """
    start = 0
    for part in getattr(stage, "parts", (stage,)):
        if part.name == "classification":
            place = {name.lower(): start + k for k, name in enumerate(part.class_names)}
            missing = [name for name in asked.class_names if name.lower() not in place]
            if not missing:
                return [place[name.lower()] for name in asked.class_names]
            mend = "name the classes of the stage so (data.params.labels of a simulated set)"
            what = "evaluation.readouts: zero_shot: classes of the last stage"
            got = ", ".join(part.class_names)
            raise InputError(what, expected=", ".join(asked.class_names), got=got, mend=mend)
        start += part.n_outputs
    raise InputError("evaluation.readouts: zero_shot", expected="a last stage with classes", got=f"task {stage.name}")
