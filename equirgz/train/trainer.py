"""The training loop, for every objective: draw, step, check, move averages, record.

Devices, precision and processes are Lightning Fabric's job; which sources and views a step sees,
and what it takes to go on after an interruption, are ours.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tqdm import tqdm

from equirgz.config import TrainConfig
from equirgz.errors import InputError
from equirgz.objectives.base import Objective
from equirgz.progress import bar_options
from equirgz.seeding import derive_seed
from equirgz.train.fabric import make_fabric
from equirgz.train.images import TrainImages, check_training_set
from equirgz.train.log import TrainLog
from equirgz.train.loggers import RowLogger
from equirgz.train.optim import lr_factor
from equirgz.train.run import TrainingRun
from equirgz.train.validation import Validate

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def train(
    objective: Objective,
    images: TrainImages,
    config: TrainConfig,
    *,
    seed: int,
    work_dir: Path | None = None,
    validate: Validate | None = None,
    probe: Validate | None = None,
    progress: bool | None = False,
    fabric: Fabric | None = None,
    accumulate: int = 1,
    checkpoint_every: int = 200,
    log_every: int = 10,
    loggers: Sequence[RowLogger] = (),
) -> TrainLog:
    """Train ``objective`` in place for ``config.steps`` updates and leave it in eval mode.

    Parameters
    ----------
    seed : all randomness: order of sources, views, dropout. On the CPU the same seed gives the same
        bits. torch's own global generators are left as they were.
    work_dir : folder of ``checkpoint.pt``, ``log.jsonl`` and ``log.csv``; a training found there is resumed, bit
        for bit on the CPU. None writes nothing.
    validate : ``objective -> {"error": share, "nll": nat, ...}``, called every ``config.eval_every``
        updates and after the last; ``selection_rule="best_val"`` keeps the weights of its lowest
        error (ties: lowest NLL).
    progress : show a bar on stderr; None: where that is a terminal.
    probe : as ``validate`` and called with it, for the log alone (``probe/error``, ...): it selects nothing
        and changes no weight. A warning tells where it ends no better than a guess.
    fabric : a launched Fabric, for other devices, precisions or several processes. Every process
        draws the whole batch and trains on its share, batch norm sees the shares of all, so that numbers
        do not depend on how many there are (dropout and other noise excepted: each draws its own).
    accumulate : parts into which a batch is cut to save memory; gradients are their mean, and batch
        norm sees one part at a time.
    checkpoint_every, log_every : updates between checkpoints, and between rows of the log.
    loggers : told every row of the log as it is measured (:class:`~equirgz.train.loggers.RowLogger`), by the first
        process alone.

    Raises InputError for images, labels or sizes that cannot be trained on; NumericalError when the
    loss or a gradient is not finite: the trained weights are then those before that update, and the last
    checkpoint stays. On a GPU, which is not waited for in every step, that is seen when a row is logged or a
    checkpoint written; until then moving averages may move on. ResultsError for a checkpoint of another training.
    """
    check_training_set(objective, images)
    if config.selection_rule == "best_val" and validate is None:
        raise InputError("selection_rule best_val: expected a validation set, got none; set split.n_val")
    lr_factor(0, config.steps, config.optimizer.warmup_steps)
    fabric = make_fabric(config.precision) if fabric is None else fabric
    objective.prepare(images.y_N, 0 if images.u_MCHW is None else len(images.u_MCHW))
    run = TrainingRun(objective, images, config, seed, work_dir, fabric, accumulate, loggers)
    with torch.random.fork_rng(devices=[fabric.device] if fabric.device.type == "cuda" else []):
        torch.manual_seed(derive_seed(seed, "noise", fabric.global_rank))
        run.resume()
        start_s = time.perf_counter()
        objective.train()
        shown = progress if fabric.is_global_zero else False
        with _make_bar(objective, config.steps, run.step, shown) as bar, contextlib.closing(run):
            while run.step < config.steps:
                values = run.update()
                last = run.step == config.steps
                measured = run.measure_rank()
                if last or (config.eval_every and run.step % config.eval_every == 0):
                    measured |= run.validate(validate) | run.watch(probe)
                if last or measured or run.step % log_every == 0 or objective.log_now(run.step - 1, config.steps):
                    row = run.record(values | measured)
                    bar.set_postfix(loss=f"{row['loss']:.4f}", refresh=False)
                if last or run.step % checkpoint_every == 0:
                    run.save()
                bar.update()
    run.log.seconds = time.perf_counter() - start_s
    run.finish()
    if images.x_NCHW is not None:
        objective.after_training(run.images.x_NCHW, run.images.y_N)
    return run.log


def _make_bar(objective: Objective, n_steps: int, done: int, shown: bool | None) -> tqdm:
    name = type(objective).__name__.lower()
    return tqdm(total=n_steps, initial=done, desc=name, unit="step", **bar_options(shown))
