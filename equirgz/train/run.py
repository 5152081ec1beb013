"""One training in progress: the single update, and all that an exact resume needs.

The loop itself is :func:`equirgz.train.trainer.train`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from equirgz.config import TrainConfig
from equirgz.errors import NumericalError
from equirgz.objectives.base import Batch, Objective
from equirgz.objectives.frozen import convert_precision
from equirgz.paths import as_path
from equirgz.train import checkpoint as checkpoints
from equirgz.train.average import WeightAverage
from equirgz.train.batch_norm import synchronised
from equirgz.train.fabric import precision_of
from equirgz.train.finite import FiniteCheck, can_defer
from equirgz.train.images import TrainImages
from equirgz.train.log import TrainLog
from equirgz.train.loggers import CsvTable, JsonLines, RowLogger
from equirgz.train.optim import lr_factor, make_optimizer, set_lr
from equirgz.train.rank import describe_loss, make_rank_meter
from equirgz.train.sources.batches import BatchMaker, split_batch
from equirgz.train.step import Sealed, Step, fingerprint
from equirgz.train.validation import Validate, is_better

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class TrainingRun:
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
        loggers: Sequence[RowLogger] = (),
    ) -> None:
        self.objective, self.config, self.fabric, self.accumulate = objective, config, fabric, accumulate
        self.work_dir = None if work_dir is None else as_path(work_dir)
        dtype = torch.float64 if config.precision == "64-true" else torch.float32
        self.converted = convert_precision(objective, dtype)
        self.fingerprint = fingerprint(objective, images, config, seed, fabric.world_size)
        objective.train()
        self.parts = fabric.world_size * accumulate
        self.images = images.to(fabric.device, dtype)
        self.batches = BatchMaker(objective, self.images, config, seed, self.parts, dtype)
        optimizer = make_optimizer(objective, config.optimizer, fabric.device)
        self.module, self.optimizer = fabric.setup(Step(objective), optimizer)
        self.finite = FiniteCheck(optimizer, can_defer(optimizer), self._fail)
        self.trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.average = None if config.ema is None else WeightAverage(objective, config.ema)
        self.rank = make_rank_meter(objective, self.images.pool("unlabelled"), dtype)
        self.step = 0
        self.best: dict[str, Any] | None = None
        self.log = TrainLog()
        self.loggers = [*self._files(), *loggers] if fabric.is_global_zero else []

    def _files(self) -> list[RowLogger]:
        if self.work_dir is None:
            return []
        return [JsonLines(self.work_dir / "log.jsonl"), CsvTable(self.work_dir / "log.csv")]

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
        if not self.finite.deferred:
            self.finite.look(self.step, batch.index, loss=loss)
        norm = self._clip()
        self.finite.look(self.step, batch.index, loss=loss, gradient_norm=norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.objective.after_step(self.step, self.config.steps)
        if self.average is not None:
            self.average.update(self.objective, self.step)
        self.step += 1
        return {"loss": loss, "lr": lr} | values

    def _backward(self, batch: Batch) -> tuple[Tensor, dict[str, Any]]:
        total, values = 0.0, {}
        for i in range(self.accumulate):
            part = split_batch(batch, self.fabric.global_rank * self.accumulate + i, self.parts)
            alone = self.fabric.no_backward_sync(self.module, enabled=i + 1 < self.accumulate)
            with alone, synchronised(self.objective, self.fabric.world_size):
                loss, values = self.module(Sealed(part), self.step, self.config.steps)
                if self.finite.deferred or self.fabric.world_size > 1 or bool(torch.isfinite(loss)):
                    self.fabric.backward(loss / self.accumulate)
            total = total + loss.detach() / self.accumulate
        return self.fabric.all_reduce(total, reduce_op="mean"), values

    def _clip(self) -> Tensor:
        gradients = [p.grad for p in self.trained if p.grad is not None]
        if self.finite.deferred:
            norms = torch._foreach_norm(gradients)
        else:
            norms = [torch.linalg.vector_norm(g) for g in gradients]
        norm = torch.linalg.vector_norm(torch.stack(norms))
        limit = self.config.optimizer.clip_norm
        if limit is not None and (self.finite.deferred or float(norm) > limit):
            torch._foreach_mul_(gradients, (limit / norm).clamp(max=1.0))
        return norm

    def _fail(self, what: str, value: float, step: int, index: dict[str, Tensor]) -> None:
        sources = "; ".join(f"{pool} sources {index_B.tolist()}" for pool, index_B in index.items())
        kept = "no checkpoint was asked for"
        if self.checkpoint_path is not None:
            kept = f"last good checkpoint: {self.checkpoint_path}"
        self.optimizer.zero_grad(set_to_none=True)
        raise NumericalError(
            f"{what} at step {step}: expected a finite number, got {value}; "
            f"lower the learning rate or look at {sources} ({kept})"
        )

    def validate(self, validate: Validate | None) -> dict[str, float]:
        """Measure the objective, keep its weights when they are the best so far, and return the numbers."""
        self.finite.flush()
        if validate is None:
            return {}
        with self._kept_weights():
            found = validate(self.objective)
            if is_better(found, self.best and self.best["found"]):
                model = {name: value.detach().clone() for name, value in self.objective.state_dict().items()}
                self.best = {"found": found, "model": model if self.config.selection_rule == "best_val" else {}}
                self.log.best_step = self.step
        self.objective.train()
        return {f"val/{name}": value for name, value in found.items()}

    def watch(self, probe: Validate | None) -> dict[str, float]:
        """Return the probe's numbers for the log; warn where the last are no better than its ``guess_error``."""
        if probe is None:
            return {}
        with self._kept_weights():
            found = probe(self.objective)
        self.objective.train()
        if self.step == self.config.steps and found["error"] >= found.get("guess_error", math.inf):
            self.log.warn(
                f"probe of the features at step {self.step}: error {found['error']:.3g}, and "
                f"{found['guess_error']:.3g} for always naming the commonest class; train longer or on other views"
            )
        return {f"probe/{name}": value for name, value in found.items()}

    def _kept_weights(self) -> AbstractContextManager[None]:
        """Give the objective, for as long as the context lasts, the weights that the training keeps."""
        return nullcontext() if self.average is None else self.average.inside(self.objective)

    def finish(self) -> None:
        """Leave the objective with the weights that the training keeps, in eval mode."""
        if self.config.selection_rule == "best_val":
            self.objective.load_state_dict(self.best["model"])
        elif self.average is not None:
            self.average.put_into(self.objective)
        self.objective.eval()

    def measure_rank(self) -> dict[str, float]:
        """Return the rank of the features where the objective watches it and it is due, for the log."""
        if self.rank is None or not self.rank.is_due(self.step, self.config.steps):
            return {}
        return self.rank.log(self.objective)

    def record(self, values: dict[str, Any]) -> dict[str, float]:
        """Add a row to the log and to the loggers, warn of a collapsed representation, and return the row."""
        self.finite.flush()
        row = {name: float(value) for name, value in values.items()} | {"step": self.step}
        self.log.rows.append(row)
        for logger in self.loggers:
            logger.write(row)
        settled = self.step > max(50, self.config.steps // 10)
        if row.get("collapsed") and settled and not any(w.startswith("collapsed") for w in self.log.warnings):
            self.log.warn(
                f"collapsed representation at step {self.step}: spread {row['spread']:.3g} of projections "
                f"(isotropic: 1), {row['feature_spread']:.3g} of features, effective rank {row['effective_rank']:.3g}; "
                f"{self.objective.collapse_mend}"
            )
        lost = describe_loss(row, self.config.steps)
        if lost and not any(w.startswith("lost rank") for w in self.log.warnings):
            self.log.warn(lost)
        return row

    def close(self) -> None:
        """End the loggers, and what draws sources ahead: the training is over, or failed."""
        self.images.close()
        for logger in self.loggers:
            logger.close()

    def save(self) -> None:
        """Write the checkpoint, from the first process alone, with the generators of all."""
        self.finite.flush()
        if self.checkpoint_path is not None:
            rng = checkpoints.gather_rng_states(self.fabric.device, self.fabric.world_size)
            if self.fabric.is_global_zero:
                checkpoints.save_checkpoint(self.checkpoint_path, self.state(rng))
        self.fabric.barrier()

    def state(self, rng: list[dict[str, Tensor]]) -> dict[str, Any]:
        """Return everything that the next update depends on, and what was recorded so far."""
        return {
            "fingerprint": self.fingerprint,
            "step": self.step,
            "model": self.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "batches": self.batches.state_dict(),
            "rng": rng,
            "best": self.best,
            "best_step": self.log.best_step,
            "rows": self.log.rows,
            "warnings": self.log.warnings,
            "average": None if self.average is None else self.average.value,
            "untrained_rank": None if self.rank is None else self.rank.untrained,
        }

    def resume(self) -> None:
        """Go on from the checkpoint in ``work_dir``; without one, write the first, of step 0."""
        path = self.checkpoint_path
        state = None if path is None else checkpoints.load_checkpoint(path, self.fingerprint)
        if state is not None:
            self.objective.load_state_dict(state["model"])
            for own, loaded in zip(
                self.optimizer.param_groups, state["optimizer"]["param_groups"], strict=True
            ):  # a checkpoint of a CPU goes on on a GPU, and the other way round
                loaded |= {name: own[name] for name in ("foreach", "fused") if name in own}
            self.optimizer.load_state_dict(state["optimizer"])
            self.batches.load_state_dict(state["batches"])
            rng = state["rng"] if isinstance(state["rng"], list) else [state["rng"]] * self.fabric.world_size
            checkpoints.set_rng_state(rng[self.fabric.global_rank], self.fabric.device)
            self.step, self.best = state["step"], state["best"]
            if self.rank is not None:
                self.rank.untrained = state["untrained_rank"]
            if self.average is not None:
                self.average.load(state["average"])
            self.log = TrainLog(state["rows"], state["warnings"], state["best_step"], resumed_from=self.step)
        else:
            if self.rank is not None:
                self.rank.log(self.objective)  # of the network before its first update
            if path is not None:
                self.save()
        if self.converted:
            self.log.warn(self.converted)
        computed = precision_of(self.fabric)
        if computed != self.config.precision:
            self.log.warn(f"asked for {self.config.precision}, computed in {computed}")
        for logger in self.loggers:
            logger.start(self.log.rows)
