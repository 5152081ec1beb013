"""The training loop, for every objective: draw, step, check, move averages, record.

Devices, precision and processes are Lightning Fabric's job; which sources and views a step sees,
and what it takes to go on after an interruption, are ours.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor, nn
from tqdm import tqdm

from equirgz.config import TrainConfig
from equirgz.errors import InputError, NumericalError
from equirgz.objectives.base import Batch, Objective
from equirgz.records import content_hash
from equirgz.seeding import derive_seed
from equirgz.train import checkpoint as checkpoints
from equirgz.train.batches import BatchMaker, split_batch
from equirgz.train.images import TrainImages, check_training_set
from equirgz.train.log import JsonLines, TrainLog
from equirgz.train.optim import lr_factor, make_optimizer, set_lr
from equirgz.train.validation import Validate, is_better


def make_fabric(config: TrainConfig, devices: int = 1) -> Fabric:
    """Return a Fabric on CUDA devices if there are any, else on the CPU.

    With several ``devices`` (processes, on the CPU) call its ``launch()`` before anything else; the
    gradients are then averaged by DDP, which is told that some objectives leave parameters unused
    in some steps.
    """
    accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    strategy = "auto" if devices == 1 else DDPStrategy(find_unused_parameters=True)
    return Fabric(accelerator=accelerator, devices=devices, strategy=strategy, precision=config.precision)


def train(
    objective: Objective,
    images: TrainImages,
    config: TrainConfig,
    *,
    seed: int,
    work_dir: Path | None = None,
    validate: Validate | None = None,
    progress: bool = False,
    fabric: Fabric | None = None,
    accumulate: int = 1,
    checkpoint_every: int = 200,
    log_every: int = 10,
) -> TrainLog:
    """Train ``objective`` in place for ``config.steps`` updates and leave it in eval mode.

    Parameters
    ----------
    seed : all randomness: order of sources, views, dropout. On the CPU the same seed gives the same
        bits. torch's own global generators are left as they were.
    work_dir : folder of ``checkpoint.pt`` and ``log.jsonl``; a training found there is resumed, bit
        for bit on the CPU. None writes nothing.
    validate : ``objective -> {"error": share, "nll": nat, ...}``, called every ``config.eval_every``
        updates and after the last; ``selection_rule="best_val"`` keeps the weights of its lowest
        error (ties: lowest NLL).
    fabric : a launched Fabric, for other devices, precisions or several processes. Every process
        draws the whole batch and trains on its share, so that numbers do not depend on how many
        there are (batch norm, which sees its share alone, excepted).
    accumulate : parts into which a batch is cut to save memory; gradients are their mean.
    checkpoint_every, log_every : updates between checkpoints, and between rows of the log.

    Raises InputError for images, labels or sizes that cannot be trained on; NumericalError when the
    loss or a gradient is not finite: the weights are then those before that update, and the last
    checkpoint stays. ResultsError for a checkpoint of another training.
    """
    check_training_set(objective, images)
    if config.selection_rule == "best_val" and validate is None:
        raise InputError("selection_rule best_val: expected a validation set, got none; set split.n_val")
    lr_factor(0, config.steps, config.optimizer.warmup_steps)
    fabric = make_fabric(config) if fabric is None else fabric
    objective.prepare(images.y_N, 0 if images.u_MCHW is None else len(images.u_MCHW))
    run = _Run(objective, images, config, seed, work_dir, fabric, accumulate)
    devices = [fabric.device] if fabric.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(derive_seed(seed, "noise", fabric.global_rank))
        run.resume()
        start_s = time.perf_counter()
        bar = tqdm(
            total=config.steps,
            initial=run.step,
            disable=not (progress and fabric.is_global_zero),
            desc=type(objective).__name__.lower(),
            unit="step",
        )
        objective.train()
        while run.step < config.steps:
            values = run.update()
            last = run.step == config.steps
            measured = {}
            if last or (config.eval_every and run.step % config.eval_every == 0):
                measured = run.validate(validate)
                values |= measured
            if last or measured or run.step % log_every == 0 or objective.log_now(run.step - 1, config.steps):
                run.record(values)
                bar.set_postfix(loss=f"{run.log.rows[-1]['loss']:.4f}", refresh=False)
            if last or run.step % checkpoint_every == 0:
                run.save()
            bar.update()
        bar.close()
    run.log.seconds = time.perf_counter() - start_s
    if config.selection_rule == "best_val":
        objective.load_state_dict(run.best["model"])
    objective.eval()
    if images.x_NCHW is not None:
        objective.after_training(run.images.x_NCHW, run.images.y_N)
    return run.log


class _Sealed:
    """Holds a batch that Fabric passes on as it is: labels and votes must not be rounded to bfloat16."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch


class _Step(nn.Module):
    """The training step as a forward pass, so that autocast and DDP apply to it."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, sealed: _Sealed, step: int, n_steps: int) -> tuple[Tensor, dict[str, Any]]:
        return self.objective.training_step(sealed.batch, step, n_steps)


class _Run:
    """The state of one training; everything in :meth:`state` is what exact resume needs."""

    def __init__(
        self,
        objective: Objective,
        images: TrainImages,
        config: TrainConfig,
        seed: int,
        work_dir: Path | None,
        fabric: Fabric,
        accumulate: int,
    ) -> None:
        self.objective, self.config, self.fabric, self.accumulate = objective, config, fabric, accumulate
        self.work_dir = None if work_dir is None else Path(work_dir)
        self.fingerprint = _fingerprint(objective, images, config, seed, fabric.world_size)
        objective.train()
        self.parts = fabric.world_size * accumulate
        self.images = images.to(fabric.device, torch.float64 if config.precision == "64-true" else torch.float32)
        self.batches = BatchMaker(objective, self.images, config, seed, self.parts)
        self.module, self.optimizer = fabric.setup(_Step(objective), make_optimizer(objective, config.optimizer))
        self.trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.step = 0
        self.best: dict[str, Any] | None = None
        self.log = TrainLog()

    @property
    def checkpoint_path(self) -> Path | None:
        return None if self.work_dir is None else self.work_dir / checkpoints.FILE_NAME

    def update(self) -> dict[str, Any]:
        """Do one optimiser update and return what it logs; all numbers are checked before it."""
        lr = self.config.optimizer.lr * lr_factor(
            self.step, self.config.steps, self.config.optimizer.warmup_steps, self.config.optimizer.schedule
        )
        set_lr(self.optimizer, lr)
        batch = self.batches.next()
        loss, values = self._backward(batch)
        self._check_finite("loss", loss, batch)
        norm = self._clip()
        self._check_finite("gradient norm", norm, batch)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.objective.after_step(self.step, self.config.steps)
        self.step += 1
        return {"loss": loss, "lr": lr} | values

    def _backward(self, batch: Batch) -> tuple[Tensor, dict[str, Any]]:
        total, values = 0.0, {}
        for i in range(self.accumulate):
            part = split_batch(batch, self.fabric.global_rank * self.accumulate + i, self.parts)
            with self.fabric.no_backward_sync(self.module, enabled=i + 1 < self.accumulate):
                loss, values = self.module(_Sealed(part), self.step, self.config.steps)
                if bool(torch.isfinite(loss)) or self.fabric.world_size > 1:
                    self.fabric.backward(loss / self.accumulate)
            total = total + loss.detach() / self.accumulate
        return self.fabric.all_reduce(total, reduce_op="mean"), values

    def _clip(self) -> Tensor:
        gradients = [p.grad for p in self.trained if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
        limit = self.config.optimizer.clip_norm
        if limit is not None and float(norm) > limit:
            for gradient in gradients:
                gradient.mul_(limit / norm)
        return norm

    def _check_finite(self, what: str, value: Tensor, batch: Batch) -> None:
        if math.isfinite(float(value)):
            return
        sources = "; ".join(f"{pool} sources {index.tolist()}" for pool, index in batch.index.items())
        kept = "no checkpoint was asked for"
        if self.checkpoint_path is not None:
            kept = f"last good checkpoint: {self.checkpoint_path}"
        self.optimizer.zero_grad(set_to_none=True)
        raise NumericalError(
            f"{what} at step {self.step}: expected a finite number, got {float(value)}; "
            f"lower the learning rate or look at {sources} ({kept})"
        )

    def validate(self, validate: Validate | None) -> dict[str, float]:
        """Measure the objective, keep its weights when they are the best so far, and return the numbers."""
        if validate is None:
            return {}
        found = validate(self.objective)
        self.objective.train()
        if is_better(found, self.best and self.best["found"]):
            model = {name: value.detach().clone() for name, value in self.objective.state_dict().items()}
            self.best = {"found": found, "model": model if self.config.selection_rule == "best_val" else {}}
            self.log.best_step = self.step
        return {f"val/{name}": value for name, value in found.items()}

    def record(self, values: dict[str, Any]) -> None:
        """Add a row to the log and to its file, and warn of a collapsed representation."""
        row = {name: float(value) for name, value in values.items()} | {"step": self.step}
        self.log.rows.append(row)
        if self.fabric.is_global_zero:
            self.lines.write(row)
        settled = self.step > max(50, self.config.steps // 10)
        if row.get("collapsed") and settled and not any(w.startswith("collapsed") for w in self.log.warnings):
            self.log.warn(
                f"collapsed representation at step {self.step}: spread {row['spread']:.3g} (isotropic: 1), effective "
                f"rank {row['effective_rank']:.3g}; raise batch_size or base_momentum, or lower the learning rate"
            )

    def save(self) -> None:
        """Write the checkpoint, from the first process alone."""
        if self.checkpoint_path is not None and self.fabric.is_global_zero:
            checkpoints.save_checkpoint(self.checkpoint_path, self.state())
        self.fabric.barrier()

    def state(self) -> dict[str, Any]:
        """Return everything that the next update depends on, and what was recorded so far."""
        return {
            "fingerprint": self.fingerprint,
            "step": self.step,
            "model": self.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "batches": self.batches.state_dict(),
            "rng": checkpoints.get_rng_state(self.fabric.device),
            "best": self.best,
            "best_step": self.log.best_step,
            "rows": self.log.rows,
            "warnings": self.log.warnings,
        }

    def resume(self) -> None:
        """Go on from the checkpoint in ``work_dir``; without one, write the first, of step 0."""
        path = self.checkpoint_path
        state = None if path is None else checkpoints.load_checkpoint(path, self.fingerprint)
        if state is not None:
            self.objective.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.batches.load_state_dict(state["batches"])
            if self.fabric.global_rank == 0:
                checkpoints.set_rng_state(state["rng"], self.fabric.device)
            self.step, self.best = state["step"], state["best"]
            self.log = TrainLog(state["rows"], state["warnings"], state["best_step"], resumed_from=self.step)
        elif path is not None:
            self.save()
        if self.fabric.is_global_zero:
            self.lines = JsonLines(None if path is None else path.with_name("log.jsonl"), self.log.rows)


def _fingerprint(
    objective: Objective, images: TrainImages, config: TrainConfig, seed: int, world_size: int
) -> str:
    """Hash what determines a training, apart from the values of the initial weights."""
    options = {k: v for k, v in vars(objective).items() if isinstance(v, (int, float, str)) and k != "training"}
    return content_hash(
        {
            "config": config.model_dump(mode="json"),
            "seed": seed,
            "data": images.checksum(),
            "objective": type(objective).__name__,
            "options": options,
            "shapes": {name: list(value.shape) for name, value in objective.state_dict().items()},
            "processes": world_size,
        }
    )
