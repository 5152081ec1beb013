"""Find every mistake of a grid before any work: names, options, sizes, label counts, files.

Each distinct dataset, split, network, objective and augmentation of a grid is made once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equirgz.config import DataConfig, RunConfig, TaskConfig
from equirgz.errors import EquirgzError, InputError
from equirgz.grid.further.needs import check_further, check_kind
from equirgz.grid.plan.grid import Grid
from equirgz.grid.plan.stage_check import CheckedStage, check_joint, check_stage, check_zero_shot
from equirgz.grid.plan.training_check import check_strong_views, check_training
from equirgz.grid.run.pretraining import stage_keys
from equirgz.grid.run.readouts import check_readouts, check_served
from equirgz.grid.run.targets import check_targets, make_task
from equirgz.report.tables.extras import check_extras_of
from equirgz.tasks import Task
from equirgz.tasks.stored import describe_task, restore_task

if TYPE_CHECKING:
    from equirgz.data import Data, Split


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
                cost = parts.check(config, task, part, split, data_dir)
            except EquirgzError as error:
                raise type(error)(f"{grid.name}, {_place(grid, config)}: {error}") from error
            checked.n_labels[config.run_key()] = len(split.train_index)
            checked.describe_task(config, data.train, grid.document["report"])
            checked.multiply_adds[config.run_key()] = cost
    return checked


class _Parts:
    """Networks, objectives, augmentations and stages that were made already."""

    def __init__(self) -> None:
        self._costs: dict[str, float] = {}
        self._views: dict[str, int] = {}
        self._stages: dict[str, CheckedStage] = {}
        self._counted: set[str] = set()
        self._joint: set[str] = set()

    def check(self, config: RunConfig, task: Task, data: Data, split: Split, data_dir: Path | None) -> float:
        """Return the multiply-adds of the run's trainings, having made each part of it once.

        A stage that several runs share is counted with the first of them.
        """
        from equirgz.backbones import measure_cost
        from equirgz.grid.run.prepare import PreparedRun, make_backbone
        from equirgz.grid.run.training import make_objective

        check_readouts(config)
        check_further(config)
        check_strong_views(config)
        n_channels = data.train.n_channels
        key = f"{config.backbone.model_dump_json()} {config.data.image_size} {n_channels}"
        name = f"{key} {config.objective.model_dump_json()} {config.train.model_dump_json()}"
        stages = stage_keys(config)
        if key not in self._costs or name not in self._views or any(stage not in self._stages for stage in stages):
            backbone = make_backbone(config, n_channels)
            check_kind(config, backbone.takes_rows, data.train)
            self._costs.setdefault(key, float(measure_cost(backbone)["multiply_adds"]))
            self._views.setdefault(name, check_training(backbone, config.objective, config.train, task, config))
            run = PreparedRun(config, data, split, backbone, data_dir=data_dir)
            for place, stage in enumerate(stages):
                if stage not in self._stages:
                    self._stages[stage] = check_stage(run, place)
        parts = (config.joint, config.data, config.objective, config.task, config.train)
        joint = " ".join(part.model_dump_json() for part in parts if part is not None)
        if config.joint is not None and joint not in self._joint:
            run = PreparedRun(config, data, split, make_backbone(config, n_channels), data_dir=data_dir)
            check_joint(run, make_objective(run, config.objective))
            self._joint.add(joint)
        check_zero_shot(config, task, self._stages[stages[-1]] if stages else None)
        images = self._views[name] * config.train.steps * config.train.batch_size
        for stage, settings in zip(stages, config.stages, strict=True):
            if stage not in self._counted:
                self._counted.add(stage)
                images += self._stages[stage].n_views * settings.train.steps * settings.train.batch_size
        return 3.0 * images * self._costs[key]  # forward, and backward at twice its cost


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
    """Return the first simulated images of every class, none of spectra; pixels of real surveys are never copied."""
    if images.holds_rows:
        return {}
    import numpy as np

    index = np.concatenate([np.flatnonzero(images.label_N == k)[:per_class] for k in range(images.n_classes)])
    return {
        "image_NHW": images.image_NHW[index].astype(np.float32),
        "label_N": images.label_N[index],
        "class_names": np.array(images.class_names),
        "pixel_scale_arcsec": np.array(images.pixel_scale_arcsec),
    }
