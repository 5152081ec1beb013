"""One run from its configuration to its rows: data, split, network, training, evaluation, metrics.

Everything random comes from ``config.seed`` through named streams, and who is where from
``config.split.split_seed``; so on one CPU thread a run gives the same bits wherever it is computed.
Legend: N sources, C channels, H W pixels, F features, K classes, A angles.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from equirgz.backbones import Backbone, create_backbone
from equirgz.config import RunConfig, TrainConfig
from equirgz.data import Data, Split, load_data, split_data
from equirgz.data.simulate.synthetic_votes import get_votes
from equirgz.data.splits.hidden_labels import find_hidden_labels
from equirgz.data.splits.labelled import make_manifest
from equirgz.errors import InputError
from equirgz.grid.run.blocks import meter_rows, score
from equirgz.grid.run.measure import (
    count_sources,
    measure_equivariance,
    measure_rotation,
    measure_size,
    read_out_features,
    read_out_network,
)
from equirgz.grid.run.memory import measure_peak_bytes, reset_peak
from equirgz.grid.run.posthoc import check_temperature, scale_blocks
from equirgz.grid.run.pretrained import PretrainedStore, pretrain_key
from equirgz.objectives.base import Objective, create_objective
from equirgz.provenance import code_version
from equirgz.seeding import derive_seed
from equirgz.train.fabric import make_fabric
from equirgz.train.images import TrainImages
from equirgz.train.memory import keep_freed_memory
from equirgz.train.trainer import train
from equirgz.train.validation import Validate, make_knn_probe, make_validation

READOUTS = ("network", "temperature", "linear_probe", "knn")
METERS = ("mask_rate", "impurity")  # logs of a training that become rows
CHECKPOINT_STEPS = 1000  # a longer training leaves checkpoints, so that a killed run goes on from them


def run_cell(
    config: RunConfig,
    data_dir: Path | None,
    work_dir: Path | None,
    *,
    grid: str = "",
    device: str = "cpu",
    accumulate: int = 1,
    store: Path | None = None,
    only: Literal["pretrain"] | None = None,
) -> dict[str, Any] | None:
    """Compute one run; return its ``rows``, ``predictions``, ``timings`` and ``training`` log.

    ``work_dir`` takes checkpoints of long trainings, ``store`` the weights of pre-trainings, which
    are then computed once. ``accumulate`` cuts every batch into so many parts to save memory.
    ``only="pretrain"`` stops after the pre-training and returns None. Raises EquirgzError for what
    a user can mend.
    """
    run = prepare_run(config, data_dir, work_dir, device=device, accumulate=accumulate, store=store)
    if only == "pretrain":
        run.pretrain()
        return None
    return finish_run(run, grid)


def prepare_run(config: RunConfig, data_dir: Path | None, work_dir: Path | None, **options: Any) -> CellRun:
    """Load the data, split it and build the network of a run; ``options`` are those of CellRun."""
    keep_freed_memory()
    reset_peak(options.get("device", "cpu"))
    clock = Clock()
    data, split = split_data(load_data(config.data, data_dir), config.data, config.split)
    backbone = build_backbone(config, data.train.n_channels)
    clock.lap("load")
    return CellRun(config, data, split, backbone, work_dir, clock, **options)


def finish_run(run: CellRun, grid: str = "") -> dict[str, Any] | None:
    """Train and evaluate a prepared run (see :func:`run_cell`); None in all processes but the first."""
    config, clock, logs = run.config, run.clock, []
    if config.pretrain is not None:
        logs.append(run.pretrain())
        clock.lap("pretrain")
        frozen = read_out_features(run) if run.leads else []
    objective, log = run.train()
    if not run.leads:
        return None
    logs.append(log)
    clock.lap("train")
    if config.pretrain is None:
        frozen = read_out_features(run)
    trained, uncertain = read_out_network(run, objective)
    blocks = [*frozen, *trained]
    scaled, rows = scale_blocks(blocks) if "temperature" in config.evaluation.readouts else ([], [])
    blocks += scaled
    rows += [row for block in blocks for row in score(block)] + meter_rows(log, len(run.pool_NCHW))
    rows += uncertain + measure_rotation(run, objective) + measure_equivariance(run) + measure_size(run)
    rows += count_sources(run.data)
    clock.lap("evaluate")
    common = describe_run(config, run.data, run.split, grid)
    timings = [
        *clock.timings,
        {"metric": "memory/peak", "value": measure_peak_bytes(run.device), "unit": "byte"},
        {"metric": "train/batch_parts", "value": run.accumulate, "unit": "1"},
        *([{"metric": "train/processes", "value": run.processes, "unit": "1"}] if run.processes > 1 else []),
    ]
    return {
        "rows": [{**common, **row} for row in rows],
        "predictions": [block.dump() for block in blocks],
        "timings": timings,
        "training": logs,
        "split": make_manifest(
            config.data.name, run.data.train.source_id_N, run.split, split_seed=config.split.split_seed
        ),
    }


def build_backbone(config: RunConfig, in_channels: int) -> Backbone:
    """Return the run's network with its initial weights, drawn from the stream ``init``."""
    fields = config.backbone.model_dump()
    params = fields.pop("params")
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(derive_seed(config.seed, "init"))
        return create_backbone(**fields, in_channels=in_channels, image_size=config.data.image_size, **params)


def describe_run(config: RunConfig, data: Data, split: Split, grid: str) -> dict[str, Any]:
    """Return the columns that all rows of a run share."""
    return {
        "grid": grid,
        "run_key": config.run_key(),
        "cell_key": config.cell_key(),
        "data": config.data.name + ("/held out" if config.split.hold_out else ""),
        "backbone": config.backbone.name,
        "group": config.backbone.group,
        "objective": config.objective.name,
        "augmentation": config.train.augmentation,
        "n_labels": len(split.train_index),
        "split_seed": config.split.split_seed,
        "seed": config.seed,
        "angle_deg": None,
        "selection_rule": config.train.selection_rule,
        "version": code_version(),
        "data_checksum": data.checksum,
    }


class Clock:
    """Seconds between laps, as timings of a run: ``part/seconds`` on the wall, ``part/cpu_seconds`` of this process."""

    def __init__(self) -> None:
        self.timings: list[dict[str, Any]] = []
        self._last = time.perf_counter(), time.process_time()

    def lap(self, part: str) -> None:
        """Record the time since the last lap for ``part`` of the run."""
        now = time.perf_counter(), time.process_time()
        for name, end, start in zip(("seconds", "cpu_seconds"), now, self._last, strict=True):
            self.timings.append({"metric": f"{part}/{name}", "value": end - start, "unit": "s"})
        self._last = now


class CellRun:
    """The parts of a run that share its data, split and network.

    With several ``processes`` the first training starts the others, which run the same script from its
    start; ``leads`` tells the first one, which alone evaluates, from them.
    """

    def __init__(
        self,
        config: RunConfig,
        data: Data,
        split: Split,
        backbone: Backbone,
        work_dir: Path | None,
        clock: Clock,
        *,
        device: str = "cpu",
        progress: bool = False,
        accumulate: int = 1,
        processes: int = 1,
        store: Path | None = None,
    ) -> None:
        unknown = [name for name in config.evaluation.readouts if name not in READOUTS]
        if unknown:
            raise InputError(f"evaluation.readouts: unknown {unknown[0]!r}; valid: {', '.join(READOUTS)}")
        check_temperature(config)
        self.config, self.data, self.split, self.device = config, data, split, device
        self.work_dir, self.clock, self.progress = work_dir, clock, progress
        self.accumulate, self.processes, self.leads = accumulate, processes, True
        self.store = None if store is None else PretrainedStore(store)
        self.backbone = backbone.to(device)
        self.labelled = data.train.subset(split.train_index)
        classes = data.train.class_names
        self.eval_sets = {
            name: images if images.class_names == classes else images.without_labels()  # other classes: no score
            for name, images in data.tests.items()
        }
        if len(split.val_index):
            self.eval_sets["val"] = data.train.subset(split.val_index)

    @property
    def n_classes(self) -> int:
        return self.data.train.n_classes

    @property
    def batch_size(self) -> int:
        """Images at a time in evaluation; it changes no number but those of dropout masks."""
        return max(1, 256 // self.accumulate)

    @property
    def pool_NCHW(self) -> np.ndarray:
        """Images without labels: the configured set, all training sources outside validation, or both."""
        own_NCHW = self.data.train.subset(self.split.unlabelled_index).x_NCHW
        if self.data.unlabelled is None:
            return own_NCHW
        other_NCHW = self.data.unlabelled.x_NCHW
        return np.concatenate([other_NCHW, own_NCHW]) if self.config.data.unlabelled_with_train else other_NCHW

    @property
    def hidden_label_M(self) -> np.ndarray:
        """Labels of the images of ``pool_NCHW`` where they are known, -1 elsewhere; a training only logs them."""
        own_N = self.data.train.label_N[self.split.unlabelled_index]
        if self.data.unlabelled is None:
            return own_N
        other_N = find_hidden_labels(self.data.unlabelled, self.data.train)
        return np.concatenate([other_N, own_N]) if self.config.data.unlabelled_with_train else other_N

    def pretrain(self) -> dict[str, Any]:
        """Train the network without labels, in place; or take the weights from the store, if it has them."""
        key = pretrain_key(self.config)
        if self.store is not None and self.store.has(key):
            return self.store.load(key, self.backbone)
        settings, seed = self.config.pretrain, self.config.seed
        objective = create_objective(
            settings.objective.name,
            backbone=self.backbone,
            n_classes=self.n_classes,
            init_seed=derive_seed(seed, "init", "pretrain"),
            **settings.objective.params,
        )
        if objective.needs_labels:
            raise InputError(f"pretrain.objective: expected one that needs no labels, got {settings.objective.name!r}")
        images = TrainImages(u_MCHW=self.pool_NCHW, mask=self.config.data.mask)
        log = self._fit("pretrain", objective, images, settings.train)
        if self.store is not None:
            self.store.save(key, self.backbone, log)
        return log

    def train(self) -> tuple[Objective, dict[str, Any]]:
        """Train the run's objective on the labelled sources, starting from the network as it is."""
        config = self.config
        objective = create_objective(
            config.objective.name,
            backbone=self.backbone,
            n_classes=self.n_classes,
            init_seed=derive_seed(config.seed, "init", "objective"),
            **config.objective.params,
        )
        if objective.needs_labels:
            pool, hidden = (self.pool_NCHW, self.hidden_label_M) if objective.uses_unlabelled else (None, None)
            questions = getattr(objective, "questions", None)
            labels = self.labelled.label_N if questions is None else get_votes(self.labelled, questions)
            images = TrainImages(self.labelled.x_NCHW, labels, pool, hidden, config.data.mask)
        else:
            images = TrainImages(u_MCHW=self.pool_NCHW, mask=config.data.mask)
        return objective, self._fit("train", objective, images, config.train)

    def _fit(self, stage: str, objective: Objective, images: TrainImages, settings: TrainConfig) -> dict[str, Any]:
        validate, probe = None, None
        if "val" in self.eval_sets and objective.needs_labels:
            val = self.eval_sets["val"]
            validate = make_validation(val.x_NCHW, val.label_N)
        elif "val" in self.eval_sets and settings.eval_every:
            probe = self._make_probe()
        fabric = make_fabric(settings.precision, self.device, self.processes)
        if self.processes > 1:
            fabric.launch()
            self.leads = fabric.is_global_zero
        long = self.work_dir is not None and (self.progress or settings.steps > CHECKPOINT_STEPS)
        log = train(
            objective.to(fabric.device),
            images,
            settings,
            seed=derive_seed(self.config.seed, stage),
            work_dir=self.work_dir / stage if long else None,
            validate=validate,
            probe=probe,
            fabric=fabric,
            checkpoint_every=CHECKPOINT_STEPS,
            progress=self.progress,
            accumulate=self.accumulate,
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

    def _make_probe(self) -> Validate | None:
        """Return the on-line nearest-neighbour probe of a training without labels; it selects nothing.

        Its labels serve the log alone, so all training sources outside validation vote, whatever ``n_labels``:
        runs that share a pre-training share its log.
        """
        bank, val = self.data.train.subset(self.split.unlabelled_index), self.eval_sets["val"]
        bank, val = (images.subset(np.flatnonzero(images.label_N >= 0)) for images in (bank, val))
        if not (len(bank) and len(val)):
            return None
        return make_knn_probe(bank.x_NCHW, bank.label_N, val.x_NCHW, val.label_N)
