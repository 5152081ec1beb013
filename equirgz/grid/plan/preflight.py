"""Find every mistake of a grid before any work: names, options, sizes, label counts, files.

Each distinct dataset, split, network, objective and augmentation of a grid is made once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from equirgz.config import DataConfig, ObjectiveConfig, RunConfig, TaskConfig, TrainConfig
from equirgz.errors import EquirgzError, InputError
from equirgz.grid.further.needs import check_further
from equirgz.grid.plan.grid import Grid
from equirgz.grid.run.pretraining import pretrain_key
from equirgz.grid.run.readouts import check_readouts, check_served
from equirgz.grid.run.targets import check_targets, make_task
from equirgz.report.tables.extras import check_extras_of
from equirgz.tasks import Task
from equirgz.tasks.stored import describe_task, restore_task


@dataclass
class Checked:
    """What the check of a grid learnt on the way, by run_key: labelled sources and arithmetic.

    A pre-training that several runs share is counted with the first of them.
    """

    n_labels: dict[str, int] = field(default_factory=dict)
    multiply_adds: dict[str, float] = field(default_factory=dict)
    samples: dict[str, Any] = field(default_factory=dict)  # arrays of simulated example images, if any
    task: dict[str, Any] | None = None  # what tells the task apart from classification
    notes: list[str] = field(default_factory=list)  # what was found in own images: a line per data set

    def describe_task(self, config: RunConfig, train: Any, report: dict[str, Any]) -> None:
        """Keep what tells the task of a grid apart from classification, the same for all runs.

        Raises InputError for data whose maps have other names, and for ensembles and extras that it does not have.
        """
        if config.task == TaskConfig():
            return
        found = describe_task(config.task.name, config.task.params, train)
        if self.task not in (None, found):
            got = f"{self.task['map_names']} and {found['map_names']}"
            raise InputError(f"task {config.task.name}", expected="the same maps in all data of a grid", got=got)
        self.task = found
        task = restore_task(found)
        check_extras_of(report, task)
        if report.get("ensemble") and task.averaged is None:
            mend = "leave report.ensemble out"
            raise InputError("report.ensemble", expected="a task that keeps answers", got=config.task.name, mend=mend)


def check_grid(grid: Grid, data_dir: Path | None, report: Callable[[str], None] = lambda line: None) -> Checked:
    """Make every distinct part of ``grid`` once; raise the first EquirgzError, prefixed by its run.

    ``report`` hears what is being checked. Training is not tried.
    """
    from equirgz.data import load_data, split_data
    from equirgz.data.overlap.describe import describe_groups

    checked = Checked()
    parts = _Parts()
    for data_config, configs in _by_data(grid):
        report(f"checking data {data_config.name}")
        data = load_data(data_config, data_dir)
        if found := describe_groups(data):
            checked.notes.append(found)
            report(found)
        if "test" not in data.tests and any(config.split.hold_out is None for config in configs):
            mend = "set split.hold_out to test on training sources"
            raise InputError(f"data {data_config.name}", expected="a test set", got="none", mend=mend)
        if data_config.name.startswith("synthetic") and not checked.samples:
            checked.samples = _take_samples(data.train)
        for config in configs:
            try:
                task = make_task(config, data.train)
                check_served(config.evaluation.readouts, task)
                part, split = split_data(data, config.data, config.split, task)
                check_targets(task, part, split)
                cost = parts.check(config, task, data.train.n_channels, has_pool=data.unlabelled is not None)
            except EquirgzError as error:
                raise type(error)(f"{grid.name}, {_place(grid, config)}: {error}") from error
            checked.n_labels[config.run_key()] = len(split.train_index)
            checked.describe_task(config, data.train, grid.document["report"])
            checked.multiply_adds[config.run_key()] = cost
    return checked


class _Parts:
    """Networks, objectives and augmentations that were made already."""

    def __init__(self) -> None:
        self._costs: dict[str, float] = {}
        self._views: dict[str, int] = {}
        self._pretrained: set[str] = set()

    def check(self, config: RunConfig, task: Task, n_channels: int, has_pool: bool) -> float:
        """Return the multiply-adds of the run's trainings, having made each part of it once."""
        from equirgz.backbones import measure_cost
        from equirgz.grid.run.prepare import make_backbone

        check_readouts(config)
        check_further(config)
        check_strong_views(config)
        key = f"{config.backbone.model_dump_json()} {config.data.image_size} {n_channels}"
        trainings = [(config.objective, config.train)]
        if config.pretrain is not None:
            trainings.append((config.pretrain.objective, config.pretrain.train))
        names = [f"{key} {made.model_dump_json()} {training.model_dump_json()}" for made, training in trainings]
        if key not in self._costs or any(name not in self._views for name in names):
            backbone = make_backbone(config, n_channels)
            self._costs.setdefault(key, float(measure_cost(backbone)["multiply_adds"]))
            for name, (objective, training) in zip(names, trainings, strict=True):
                if name not in self._views:
                    self._views[name] = check_training(backbone, objective, training, task, config)
        if config.pretrain is not None:
            shared = pretrain_key(config)
            names = names[:1] if shared in self._pretrained else names
            self._pretrained.add(shared)
        updates = zip(names, (training for _, training in trainings), strict=False)
        images = sum(self._views[name] * training.steps * training.batch_size for name, training in updates)
        return 3.0 * images * self._costs[key]  # forward, and backward at twice its cost


def check_training(
    backbone: Any, objective: ObjectiveConfig, training: TrainConfig, task: Task, config: RunConfig
) -> int:
    """Make one objective and its augmentation; refuse trainings that must fail at their end.

    Returns the number of images that an update looks at, in batches.
    """
    from equirgz.augment import create_augmentation
    from equirgz.objectives.base import create_objective
    from equirgz.train.optim import lr_factor

    create_augmentation(training.augmentation, **training.augmentation_params)
    made = create_objective(objective.name, backbone=backbone, task=task, **objective.params)
    lr_factor(0, training.steps, training.optimizer.warmup_steps)
    if training.selection_rule == "best_val" and config.split.n_val == 0:
        raise InputError("selection_rule best_val: expected a validation set, got none; set split.n_val")
    is_main = objective is config.objective
    if is_main and "network" in config.evaluation.readouts and not made.has_answers:
        raise InputError(
            f"evaluation.readouts: objective {objective.name!r} has no classifier, so no read-out 'network'; "
            "use probe or knn"
        )
    return sum(made.unlabelled_ratio if view.pool == "unlabelled" else 1 for view in made.views.values())


def check_strong_views(config: RunConfig) -> None:
    """Refuse strong views (equalise, posterise, autocontrast: for [0, 1]) of images in units of their rms."""
    from equirgz.objectives.base import OBJECTIVES

    views = getattr(OBJECTIVES.get(config.objective.name), "views", {})
    if config.data.normalise and any(view.strength == "strong" for view in views.values()):
        raise InputError(
            f"data.normalise: expected false with objective {config.objective.name!r}, whose strong views are of "
            "images in [0, 1], got true; set data.normalise: false"
        )


def _by_data(grid: Grid) -> Iterator[tuple[DataConfig, list[RunConfig]]]:
    groups: dict[str, list[RunConfig]] = {}
    for config in grid.runs:
        groups.setdefault(config.data.model_dump_json(), []).append(config)
    for configs in groups.values():
        yield configs[0].data, configs


def _place(grid: Grid, config: RunConfig) -> str:
    point = next(point for point in grid.points if point.config is config)
    return " ".join(f"{key}={value}" for key, value in point.labels.items()) or "its one run"


def _take_samples(images: Any, per_class: int = 4) -> dict[str, Any]:
    """Return the first simulated images of every class; pixels of real surveys are never copied."""
    import numpy as np

    index = np.concatenate([np.flatnonzero(images.label_N == k)[:per_class] for k in range(images.n_classes)])
    return {
        "image_NHW": images.image_NHW[index].astype(np.float32),
        "label_N": images.label_N[index],
        "class_names": np.array(images.class_names),
        "pixel_scale_arcsec": np.array(images.pixel_scale_arcsec),
    }
