"""One run from its configuration to its rows: data, split, network, training, evaluation, metrics.

Everything random comes from ``config.seed`` through named streams, and who is where from
``config.split.split_seed``; so on one CPU thread a run gives the same bits wherever it is computed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from equirgz.config import RunConfig, TaskConfig
from equirgz.data.splits.labelled import make_manifest
from equirgz.grid.further.measures import measure_further
from equirgz.grid.run.blocks import Block, meter_rows, score
from equirgz.grid.run.posthoc import recalibrate_blocks
from equirgz.grid.run.prepare import PreparedRun, prepare_run
from equirgz.grid.run.probes import read_out_features
from equirgz.grid.run.readouts import recalibrations
from equirgz.grid.run.resources import measure_peak_bytes
from equirgz.grid.run.targets import checksum_with_targets
from equirgz.grid.run.trained import (
    TrainedRun,
    count_sources,
    measure_equivariance,
    measure_rotation,
    measure_size,
    read_out_network,
)
from equirgz.grid.run.training import TrainOptions, pretrain, train_objective
from equirgz.grid.run.zero_shot import read_zero_shot
from equirgz.provenance import code_version
from equirgz.tasks.stored import describe_task
from equirgz.train.fabric import is_first_process


def warm_up() -> None:
    """Import what runs import on their way, for processes that fork into many of them."""
    import geomloss  # noqa: F401
    import lightning_fabric  # noqa: F401
    import sklearn.linear_model
    import sklearn.model_selection
    import sklearn.preprocessing  # noqa: F401

    from equirgz.augment.base import AUGMENTATIONS
    from equirgz.backbones.base import BACKBONES
    from equirgz.data.datasets import DATASETS
    from equirgz.metrics.base import METRICS
    from equirgz.objectives.base import OBJECTIVES
    from equirgz.objectives.heads.base import HEADS

    for registry in (AUGMENTATIONS, BACKBONES, DATASETS, METRICS, OBJECTIVES, HEADS):
        registry.names()


def run_cell(
    config: RunConfig,
    data_dir: Path | None,
    work_dir: Path | None,
    *,
    grid: str = "",
    only: Literal["pretrain"] | None = None,
    stages: int | None = None,
    **options: Any,
) -> dict[str, Any] | None:
    """Compute one run; return its ``rows``, ``predictions``, ``timings`` and ``training`` log.

    ``work_dir`` takes checkpoints of long trainings; ``options`` are the others of
    :class:`equirgz.grid.run.training.TrainOptions`. ``only="pretrain"`` stops after the pre-training, or
    after so many of its ``stages``, and returns None. Raises EquirgzError for what a user can mend.
    """
    how = TrainOptions(work_dir, **options)
    run = prepare_run(config, data_dir, device=how.device)
    if only == "pretrain":
        pretrain(run, how, stages)
        return None
    return finish_run(run, how, grid=grid)


def finish_run(run: PreparedRun, options: TrainOptions = TrainOptions(), *, grid: str = "") -> dict[str, Any] | None:
    """Train and evaluate a prepared run (see :func:`run_cell`); None in all processes but the first.

    The probes read the features of the pre-training where there is one, else those of the training; what the
    read-out ``probe`` settles on the way (:mod:`equirgz.grid.run.probes`) is where a training after it starts.
    """
    config, clock, logs, answers = run.config, run.clock, [], []
    before = TrainedRun(
        config, run.task, run.backbone, None, run.labelled, run.eval_sets, options.batch_size, run.data.unlabelled
    )
    if config.pretrain is not None:
        pretrained = pretrain(run, options)
        logs += pretrained.logs
        clock.lap("pretrain")
        answers, probes = [], ([], [])
        if is_first_process():
            answers, probes = read_zero_shot(before, pretrained.last), _read_out_features(before, run, logs[-1])
    objective, log = train_objective(run, options)
    if not is_first_process():
        return None
    logs.append(log)
    clock.lap("train")
    if config.pretrain is None:
        probes = _read_out_features(before, run, log, unsupervised=not objective.needs_labels)
    trained = replace(before, objective=objective)
    own, uncertain = read_out_network(trained)
    blocks = [*answers, *probes[0], *own]
    asked = recalibrations(config.evaluation.readouts)
    mended, rows = recalibrate_blocks(blocks, asked) if asked else ([], [])
    blocks += mended
    rows += [row for block in blocks for row in score(block)] + meter_rows(log, len(run.pool_NCHW))
    rows += probes[1] + uncertain + measure_rotation(trained) + measure_equivariance(trained) + measure_size(trained)
    rows += measure_further(trained) + count_sources(run.data)
    clock.lap("evaluate")
    common = describe_run(run, grid)
    return {
        "rows": [{**common, **row} for row in rows],
        "predictions": [block.dump() for block in blocks],
        "timings": [*clock.timings, *describe_effort(options)],
        "training": logs,
        **({} if config.task == TaskConfig() else {"task": describe_task(**dict(config.task), images=run.data.train)}),
        "split": make_manifest(
            config.data.name, run.data.train.source_id_N, run.split, split_seed=config.split.split_seed
        ),
    }


def _read_out_features(
    before: TrainedRun, run: PreparedRun, log: dict[str, Any], *, unsupervised: bool = True
) -> tuple[list[Block], list[dict[str, Any]]]:
    """Return the probes' blocks and rows; their warnings join those of the training that made the features."""
    blocks, rows, warnings = read_out_features(before, run.own_pool, unsupervised=unsupervised)
    log["warnings"] = [*log["warnings"], *warnings]
    return blocks, rows


def describe_run(run: PreparedRun, grid: str) -> dict[str, Any]:
    """Return the columns that all rows of a run share."""
    config = run.config
    return {
        "grid": grid,
        "run_key": config.run_key(),
        "cell_key": config.cell_key(),
        "data": config.data.name + ("/held out" if config.split.hold_out else ""),
        "backbone": config.backbone.name,
        "group": config.backbone.group,
        "objective": config.objective.name,
        "augmentation": config.train.augmentation,
        "n_labels": len(run.split.train_index),
        "split_seed": config.split.split_seed,
        "seed": config.seed,
        "angle_deg": None,
        "selection_rule": config.train.selection_rule,
        "version": code_version(),
        "data_checksum": checksum_with_targets(run.task, run.data),
    }


def describe_effort(options: TrainOptions) -> list[dict[str, Any]]:
    """Return, as timings of a run, its peak memory and in how many parts and processes its batches were computed."""
    processes = [{"metric": "train/processes", "value": options.processes, "unit": "1"}]
    return [
        {"metric": "memory/peak", "value": measure_peak_bytes(options.device), "unit": "byte"},
        {"metric": "train/batch_parts", "value": options.accumulate, "unit": "1"},
        *(processes if options.processes > 1 else []),
    ]
