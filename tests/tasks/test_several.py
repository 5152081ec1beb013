"""Several tasks on one encoder: each part is checked, learnt and scored as it would be alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from equirgz.backbones import create_backbone
from equirgz.data.imageset import ImageSet
from equirgz.errors import InputError
from equirgz.evaluate.predict import predict
from equirgz.objectives.base import Batch, create_objective
from equirgz.tasks import create_task

PARTS = [
    {"name": "classification"},
    {"name": "regression", "params": {"targets": ["las"], "log": ["las"]}, "weight": 0.2},
]


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    las_N = rng.uniform(5, 100, 12)
    las_N[[1, 4]] = np.nan
    label_N = np.arange(12) % 2
    label_N[[2, 4]] = -1
    pixels = rng.random((12, 17, 17), dtype=np.float32)
    return ImageSet(
        "s", pixels, label_N, [str(i) for i in range(12)], ("FRI", "FRII"), table=pd.DataFrame({"las": las_N})
    )


def test_targets_of_the_parts_come_back(images):
    task = create_task("several", images, tasks=PARTS)
    target_N = task.targets(images)
    label_N, las_N1 = task.split_targets(target_N)
    np.testing.assert_array_equal(label_N, images.label_N)
    np.testing.assert_array_equal(las_N1[:, 0], images.table["las"])
    assert task.known(target_N).tolist() == [i != 4 for i in range(12)]
    assert task.n_outputs == 3 and task.headline.metric == "error/rate"
    task.check(target_N)


def test_the_loss_is_the_weighted_sum_of_the_parts(images):
    task = create_task("several", images, tasks=PARTS)
    alone = [create_task(part["name"], images, **part.get("params", {})) for part in PARTS]
    backbone = create_backbone("steerable_lenet", group="C4", image_size=17, width=0.2)
    objective = create_objective("supervised", backbone, task=task, init_seed=0)
    target = torch.from_numpy(task.targets(images))
    objective.prepare(target, 0)
    x = torch.from_numpy(images.x_NCHW)
    raw = objective.logits(x)
    loss = objective.training_step(Batch({"labelled": x}, target), 0, 1)[0]
    expected = 0.0
    for part, weight, raw_part in zip(alone, (1.0, 0.2), raw.split([2, 1], 1), strict=True):
        head = create_objective("supervised", backbone, task=part, init_seed=0).head
        own = part.targets(images)
        known = part.known(own)
        head.learn(own[known])
        expected = expected + weight * head.loss(raw_part[torch.from_numpy(known)], torch.from_numpy(own[known]))
    torch.testing.assert_close(loss, expected)


def test_scores_are_those_of_the_parts(images):
    task = create_task("several", images, tasks=PARTS)
    backbone = create_backbone("steerable_lenet", group="C4", image_size=17, width=0.2)
    objective = create_objective("supervised", backbone, task=task, init_seed=0)
    objective.prepare(torch.from_numpy(task.targets(images)), 0)
    kept = task.keep(predict(objective, images.x_NCHW), task.targets(images))
    rows = {row["metric"]: row for row in task.score(kept)}
    assert rows["error/rate"]["n"] == 10 and rows["regression/mae/las"]["n"] == 10
    assert len(task.loss_per_source(kept)) == 12
    np.testing.assert_allclose(kept["answer"][:, :2].sum(1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        (PARTS[:1], "at least two"),
        ([{"name": "classification"}, {"nam": "votes"}], "mappings of name, params and weight"),
        ([PARTS[0], {**PARTS[1], "weight": 0.0}], "a number above 0"),
        ([PARTS[0], {"name": "several", "params": {"tasks": PARTS}}], "one answer per source"),
    ],
)
def test_parts_that_do_not_fit_are_one_line(images, tasks, words):
    with pytest.raises(InputError, match=words):
        create_task("several", images, tasks=tasks)
