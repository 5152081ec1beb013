"""The trainings of a run: the stages of its pre-training first where it has one, then its objective.

All start from the network as it is, and change its weights in place.
Legend: N M sources, C channels, H W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from equirgz.config import ObjectiveConfig, PretrainConfig, TrainConfig
from equirgz.errors import InputError, require
from equirgz.grid.run.encoders import start_from_encoder
from equirgz.grid.run.prepare import PreparedRun, make_backbone, prepare_stage
from equirgz.grid.run.pretraining import PretrainedStore, stage_keys
from equirgz.objectives.base import Objective, create_objective
from equirgz.seeding import derive_seed
from equirgz.tasks.stored import describe_task, restore_task
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


@dataclass(frozen=True)
class Pretrained:
    """What a pre-training left beside the network: a log of each stage, and what answered in the last one."""

    logs: list[Log]
    last: Objective | None = None


def pretrain(run: PreparedRun, options: TrainOptions = TrainOptions(), n_stages: int | None = None) -> Pretrained:
    """Train the network in place through the (first ``n_stages``) stages; those in the store are taken from there."""
    stages, keys = run.config.stages[:n_stages], stage_keys(run.config)[:n_stages]
    store = None if options.store is None else PretrainedStore(options.store)
    done = 0 if store is None else max((n for n in range(1, len(keys) + 1) if store.has(keys[n - 1])), default=0)
    logs, last = [], None
    if done:
        logs = [store.read_log(key) for key in keys[: done - 1] if store.has(key)]
        logs.append(store.load(keys[done - 1], run.backbone))
        last = _restore_head(run, stages[done - 1], logs[-1], store, keys[done - 1])
    for place in range(done, len(stages)):
        log, last = _train_stage(run, place, options)
        logs.append(log)
        if store is not None:
            store.save(keys[place], run.backbone, log, _head_weights(last) if last else None)
    return Pretrained(logs, last)


def _train_stage(run: PreparedRun, place: int, options: TrainOptions) -> tuple[Log, Objective | None]:
    """Train one stage; return its log, and its objective where that answers the task of the stage's own data."""
    config, name = run.config.stages[place], "pretrain" if place == 0 else f"pretrain_{place}"
    if config.encoder is not None:
        return start_from_encoder(run, config.encoder, name), None
    stage = prepare_stage(run, config)
    if place == 0 and config.seed is not None:
        run.backbone.load_state_dict(make_backbone(stage.config, run.backbone.in_channels).state_dict())
    objective = make_objective(stage, config.objective, name)
    check_labels(stage, config, objective)
    log = _fit(name, stage, objective, gather_images(stage, objective), config.train, options)
    if not (config.data is not None and objective.needs_labels and objective.has_answers):
        return log, None
    described = describe_task(stage.config.task.name, stage.config.task.params, stage.data.train)
    return log | {"task": described}, objective


def check_labels(stage: PreparedRun, config: PretrainConfig, objective: Objective) -> None:
    """Raise InputError where a stage on the run's own sources asks for labels, or its own cannot be learnt from."""
    if config.data is None and objective.needs_labels:
        mend = "give the stage data of its own, or an objective such as simclr"
        expected, got = "one that needs no labels", repr(config.objective.name)
        raise InputError("pretrain.objective", expected=expected, got=got, mend=mend)
    if config.data is not None and objective.needs_labels:
        objective.target_task.check(objective.target_task.targets(stage.labelled))


def _head_weights(objective: Objective) -> dict[str, Any]:
    return {name: value for name, value in objective.state_dict().items() if not name.startswith("backbone.")}


def _restore_head(
    run: PreparedRun, stage: PretrainConfig, log: Log, store: PretrainedStore, key: str
) -> Objective | None:
    """Return what answered in a stored stage, on the run's network; None where nothing did."""
    if "task" not in log:
        return None
    settings = stage.objective
    objective = create_objective(
        settings.name, backbone=run.backbone, task=restore_task(log["task"]), **settings.params
    )
    objective.load_state_dict(_head_weights(objective) | store.read_head(key), strict=False)
    return objective.to(next(run.backbone.parameters()).device).eval()


def gather_images(run: PreparedRun, objective: Objective) -> TrainImages:
    """Return what an objective learns from on a run's sources; InputError for joint sources that it has no use for."""
    if not objective.needs_labels:
        got, mend = type(objective).__name__, "leave joint out"
        expected = "an objective that learns from labels"
        require(run.config.joint is None, "joint", expected=expected, got=got, mend=mend)
        return run.make_images()
    return run.make_images(task=objective.target_task, unlabelled=objective.uses_unlabelled)


def train_objective(run: PreparedRun, options: TrainOptions = TrainOptions()) -> tuple[Objective, Log]:
    """Train the run's objective on the labelled sources, starting from the network as it is."""
    config = run.config
    objective = make_objective(run, config.objective, "objective")
    return objective, _fit("train", run, objective, gather_images(run, objective), config.train, options)


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
