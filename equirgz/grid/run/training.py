"""The trainings of a run: without labels first where it has a pre-training, then its objective.

Both start from the network as it is, and change its weights in place.
Legend: N M sources, C channels, H W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from equirgz.config import ObjectiveConfig, TrainConfig
from equirgz.errors import InputError, require
from equirgz.grid.run.prepare import PreparedRun
from equirgz.grid.run.pretraining import PretrainedStore, pretrain_key
from equirgz.objectives.base import Objective, create_objective
from equirgz.seeding import derive_seed
from equirgz.train.fabric import make_fabric
from equirgz.train.images import TrainImages
from equirgz.train.loggers import RowLogger, make_loggers
from equirgz.train.trainer import train
from equirgz.train.validation import Validate, make_knn_probe, make_validation

METERS = ("mask_rate", "impurity")  # logs of a training that become rows
CHECKPOINT_STEPS = 1000  # a longer training leaves checkpoints, so that a killed run goes on from them

Log = dict[str, Any]


@dataclass(frozen=True)
class TrainOptions:
    """Where and how a run is trained; none of it changes what is trained.

    ``work_dir`` takes checkpoints, ``store`` the weights of pre-trainings. With several ``processes`` the first
    training starts the others, which run the same script from its start. ``accumulate`` cuts every batch into so
    many parts to save memory. ``loggers`` names programs that the log goes to (:mod:`equirgz.train.loggers`).
    """

    work_dir: Path | None = None
    device: str = "cpu"
    progress: bool = False
    accumulate: int = 1
    processes: int = 1
    store: Path | None = None
    loggers: tuple[str, ...] = ()

    @property
    def batch_size(self) -> int:
        """Images at a time in evaluation; it changes no number but those of dropout masks."""
        return max(1, 256 // self.accumulate)


def pretrain(run: PreparedRun, options: TrainOptions = TrainOptions()) -> Log:
    """Train the network without labels, in place; or take the weights from the store, if it has them."""
    config, key = run.config, pretrain_key(run.config)
    store = None if options.store is None else PretrainedStore(options.store)
    if store is not None and store.has(key):
        return store.load(key, run.backbone)
    settings = config.pretrain
    objective = make_objective(run, settings.objective, "pretrain")
    if objective.needs_labels:
        raise InputError(f"pretrain.objective: expected one that needs no labels, got {settings.objective.name!r}")
    log = _fit("pretrain", run, objective, run.make_images(), settings.train, options)
    if store is not None:
        store.save(key, run.backbone, log)
    return log


def train_objective(run: PreparedRun, options: TrainOptions = TrainOptions()) -> tuple[Objective, Log]:
    """Train the run's objective on the labelled sources, starting from the network as it is."""
    config = run.config
    objective = make_objective(run, config.objective, "objective")
    if objective.needs_labels:
        targets = objective.target_task.targets(run.labelled)
        images = run.make_images(labels=targets, unlabelled=objective.uses_unlabelled)
    else:
        images = run.make_images()
    return objective, _fit("train", run, objective, images, config.train, options)


def make_objective(run: PreparedRun, settings: ObjectiveConfig, stream: str = "objective") -> Objective:
    """Return an objective on the run's network; its own weights are drawn from the stream ``init, STREAM``."""
    return create_objective(
        settings.name,
        backbone=run.backbone,
        task=run.task,
        init_seed=derive_seed(run.config.seed, "init", stream),
        **settings.params,
    )


def _fit(
    stage: str,
    run: PreparedRun,
    objective: Objective,
    images: TrainImages,
    settings: TrainConfig,
    options: TrainOptions,
) -> Log:
    validate, probe = None, None
    if "val" in run.eval_sets and objective.needs_labels:
        val = run.eval_sets["val"]
        validate = make_validation(val.x_NCHW, run.task.targets(val))
    elif "val" in run.eval_sets and settings.eval_every:
        probe = _make_probe(run)
    fabric = make_fabric(settings.precision, options.device, options.processes)
    if options.processes > 1:
        fabric.launch()
    long = options.work_dir is not None and (options.progress or settings.steps > CHECKPOINT_STEPS)
    log = train(
        objective.to(fabric.device),
        images,
        settings,
        seed=derive_seed(run.config.seed, stage),
        work_dir=options.work_dir / stage if long else None,
        validate=validate,
        probe=probe,
        fabric=fabric,
        checkpoint_every=CHECKPOINT_STEPS,
        progress=options.progress,
        accumulate=options.accumulate,
        loggers=_make_loggers(stage, run, options),
    )
    half = [row for row in log.rows if 2 * row["step"] > settings.steps]
    found = {name: [row[name] for row in half if name in row] for name in METERS}
    return {
        "stage": stage,
        "last": log.rows[-1],
        "warnings": log.warnings,
        "best_step": log.best_step,
        "meters": {name: float(np.mean(values)) for name, values in found.items() if values},
    }


def _make_loggers(stage: str, run: PreparedRun, options: TrainOptions) -> list[RowLogger]:
    if not options.loggers:
        return []
    require(options.work_dir is not None, "loggers", expected="a work_dir to write below", got=None)
    facts = {"stage": stage, "run_key": run.config.run_key(), **run.config.model_dump(mode="json")}
    return make_loggers(options.loggers, options.work_dir / stage, facts)


def _make_probe(run: PreparedRun) -> Validate | None:
    """Return the on-line nearest-neighbour probe of a training without labels; it selects nothing.

    Its labels serve the log alone, so all training sources outside validation vote, whatever ``n_labels``:
    runs that share a pre-training share its log.
    """
    bank, val = run.data.train.subset(run.split.unlabelled_index), run.eval_sets["val"]
    bank, val = (images.subset(np.flatnonzero(images.label_N >= 0)) for images in (bank, val))
    if not (len(bank) and len(val)):
        return None
    return make_knn_probe(bank.x_NCHW, bank.label_N, val.x_NCHW, val.label_N)
