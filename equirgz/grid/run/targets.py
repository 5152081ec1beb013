"""What a run asks of its sources: the task, its targets, and the checksum of data with targets; no torch."""

from __future__ import annotations

import hashlib

import numpy as np

from equirgz.config import RunConfig
from equirgz.data import Data, ImageSet, Split
from equirgz.errors import InputError
from equirgz.tasks import Task, create_task


def make_task(config: RunConfig, train: ImageSet) -> Task:
    """Return the task of a run for its training set."""
    return create_task(config.task.name, train, **config.task.params)


def find_targets(task: Task, images: ImageSet) -> np.ndarray:
    """Return the targets of a set; missing for every source where the set does not say what is asked."""
    return task.targets(images) if task.has_targets(images) else task.no_targets(len(images), images.image_size)


def check_targets(task: Task, data: Data, split: Split) -> None:
    """Raise DataError where the training or the main test set lacks targets, InputError for ones not to learn from.

    Classes are checked by the training itself, for an objective may need none.
    """
    if task.categorical:
        return
    task.check(task.targets(data.train.subset(split.train_index)))
    if "test" in data.tests and not task.known(task.targets(data.tests["test"])).any():
        raise InputError(f"task {task.name}", expected="test sources with targets", got=f"none in {data.train.name}")


def checksum_with_targets(task: Task, data: Data) -> str:
    """Return the checksum of the data, joined with that of targets that are no labels and no maps.

    Numbers of a table count with seven digits, since those of simulations differ in rounding between processors.
    """
    if task.categorical or task.dense:
        return data.checksum
    digest = hashlib.sha256(data.checksum.encode())
    for name, images in sorted({"train": data.train, **data.tests}.items()):
        values = " ".join(f"{value:.7g}" for value in np.ravel(find_targets(task, images)))
        digest.update(f"{name}:{values}\n".encode())
    return digest.hexdigest()[:16]
