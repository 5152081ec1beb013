"""Train every run of benchmarks/evaluation.yaml once and keep its answers as arrays.

WORK/<run key>/ holds objective.safetensors (the trained network with its head), encoder.safetensors
and .json (for `equirgz embed`), answers.npz, equivariance.json and provenance.json (of training and answers);
what is there is not computed again.
Legend: R runs, S predictive samples, N sources, K classes, F features, A angles.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from equirgz.backbones import save_encoder
from equirgz.config import RunConfig
from equirgz.data import ImageSet, load_data
from equirgz.data.load import refuse_leaks
from equirgz.evaluate import embed, equivariance_error, predict_samples
from equirgz.evaluate.attention_turns import attention_error
from equirgz.evaluate.predict import evaluating, iterate_batches
from equirgz.evaluate.rotation import make_angles
from equirgz.evaluate.turned_samples import rotation_samples
from equirgz.grid.embedding import preprocessing_facts
from equirgz.grid.plan.grid import Grid
from equirgz.grid.run.prepare import PreparedRun, prepare_run
from equirgz.grid.run.training import TrainOptions, make_objective, train_objective
from equirgz.objectives.base import Objective
from equirgz.provenance import collect_provenance
from equirgz.records import read_json, write_bytes_atomic, write_json_atomic
from equirgz.seeding import derive_seed

MAX_SOURCES = 300  # of each other set
NVSS_CROP = 10  # pixels of 15 arcsec: the field of 81 FIRST pixels of 1.8 arcsec
N_EQUIVARIANCE = 32
ANGLES_DEG = (22.5, 45.0, 90.0)


@dataclass(frozen=True)
class Answers:
    """What one trained network answered: arrays by "kind/part", and its errors of equivariance."""

    network: str
    run: int
    folder: Path
    arrays: dict[str, np.ndarray]
    equivariance: list[dict[str, Any]]


def load_other_sets(config: RunConfig, data_dir: Path | None) -> dict[str, ImageSet]:
    """Return sources of other sets in the units of the training images, at most 300 each.

    frdeep_first, frdeep_nvss: FR-DEEP in two surveys. radio_galaxy_dataset: its FRI and FRII outside 270 arcsec
    of every MiraBest source. simulated: the simulator, whose pixels may be shown.
    """
    plain = {"normalise": False, "params": {}}
    mirabest = load_data(config.data, data_dir, normalise=False)
    rms = np.float32(np.sqrt(np.mean(np.square(mirabest.train.image_NHW, dtype=np.float64))))
    everything = [load_data(config.data, data_dir, **plain | {"name": f"mirabest_{s}"}) for s in ("all", "hybrid")]
    held = {f"{i} {name}": part for i, data in enumerate([mirabest, *everything])
            for name, part in {"train": data.train, **data.tests}.items()}  # fmt: skip
    found = {}
    for name, options in {
        "frdeep_first": {},
        "frdeep_nvss": {"crop": NVSS_CROP},
        "radio_galaxy_dataset": {"params": {"classes": ["FRI", "FRII"]}},
        "simulated": {"name": "synthetic_fr", "params": {"n_train": 2, "n_test": 240}},
    }.items():
        data = load_data(config.data, data_dir, **{**plain, "name": name, **options})
        parts = [data.tests["test"]] if name == "simulated" else [data.train, *data.tests.values()]
        images = _join(parts, name)
        if name == "radio_galaxy_dataset":
            images = refuse_leaks(images, held, drop=True, held="MiraBest")
        order = np.random.default_rng(derive_seed(0, "thin", name)).permutation(len(images))[:MAX_SOURCES]
        images = images.subset(np.sort(order))
        found[name] = replace(images, image_NHW=images.image_NHW / rms, recipe="")
    return found


def _join(parts: list[ImageSet], name: str) -> ImageSet:
    position = [part.position_deg_N2 for part in parts]
    return ImageSet(
        name,
        np.concatenate([part.image_NHW for part in parts]),
        np.concatenate([part.label_N for part in parts]),
        np.concatenate([part.source_id_N for part in parts]),
        parts[0].class_names,
        parts[0].pixel_scale_arcsec,
        None if any(p is None for p in position) else np.concatenate(position),
    )


def answer_all(
    grid: Grid, data_dir: Path | None, work: Path, other: dict[str, ImageSet], say: Any = print
) -> list[Answers]:
    """Train and ask every run of ``grid`` that ``work`` does not hold yet; return all answers."""
    found = []
    for i, point in enumerate(grid.points, 1):
        folder = work / point.run_key
        name, run = str(point.labels["network"]), int(point.labels["replicate"])
        say(f"[{i}/{len(grid.points)}] {name}, run {run}: {folder}")
        if not (folder / "answers.npz").exists():
            _answer(point.config, data_dir, folder, other)
        with np.load(folder / "answers.npz", allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        found.append(Answers(name, run, folder, arrays, read_json(folder / "equivariance.json")))
    return found


def _answer(config: RunConfig, data_dir: Path | None, folder: Path, other: dict[str, ImageSet]) -> None:
    provenance = collect_provenance()
    run = prepare_run(config, data_dir)
    objective = load_objective(run, folder, data_dir)
    seed = derive_seed(config.seed, "predict")
    arrays: dict[str, np.ndarray] = {}
    for part, images in {"train": run.labelled, **run.eval_sets, **other}.items():
        arrays[f"feature/{part}"] = embed(run.backbone, images.x_NCHW, 64)
        arrays[f"logits/{part}"] = sample_logits(objective, images.x_NCHW, seed)
        arrays[f"label/{part}"] = images.label_N
        arrays[f"id/{part}"] = images.source_id_N
        if "las_arcsec" in images.table:
            arrays[f"las/{part}"] = images.table["las_arcsec"].to_numpy(float)
        if "redshift" in images.table:
            arrays[f"redshift/{part}"] = images.table["redshift"].to_numpy(float)
    angles_deg = make_angles(config.evaluation.rotation_angles)
    test = run.eval_sets["test"]
    n = objective.n_predictive_samples
    arrays["rotation"] = rotation_samples(
        lambda x: predict_samples(objective, x, n, 64, seed=seed), test.x_NCHW, angles_deg, mask=config.data.mask
    ).astype(np.float32)
    arrays["angles_deg"] = np.array(angles_deg)
    write_json_atomic(folder / "provenance.json", provenance)
    write_json_atomic(folder / "equivariance.json", measure_equivariance(run.backbone, test.x_NCHW))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_bytes_atomic(folder / "answers.npz", buffer.getvalue())


def load_objective(run: PreparedRun, folder: Path, data_dir: Path | None = None) -> Objective:
    """Return the trained objective of ``run``: from ``folder``, or trained now and saved there."""
    config, file = run.config, folder / "objective.safetensors"
    if file.exists():
        objective = make_objective(run, config.objective)
        objective.load_state_dict(load_file(file))
        return objective.eval()
    objective, _ = train_objective(run, TrainOptions(folder / "training", progress=True))
    folder.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().cpu().contiguous().clone() for key, value in objective.state_dict().items()}
    partial = folder / "partial.safetensors"
    save_file(state, partial)
    facts = {"run_key": config.run_key(), "preprocessing": preprocessing_facts(config.data, data_dir)}
    save_encoder(run.backbone, folder / "encoder", **facts)
    partial.replace(file)
    return objective.eval()


def sample_logits(objective: Objective, x_NCHW: np.ndarray, seed: int, batch_size: int = 64) -> np.ndarray:
    """Return logits_SNK (float32) of the objective's predictive samples."""
    generator = torch.Generator().manual_seed(seed)
    with evaluating(objective):
        parts = [
            objective.sample_logits(x, objective.n_predictive_samples, generator)
            for x in iterate_batches(objective, x_NCHW, batch_size)
        ]
    return torch.cat(parts, 1).float().numpy()


def measure_equivariance(backbone: Any, x_NCHW: np.ndarray) -> list[dict[str, Any]]:
    """Return rows what, angle_deg, value: features, every block, and attention maps where there are any."""
    x_BCHW = torch.as_tensor(x_NCHW[:N_EQUIVARIANCE]).float()
    rows = [
        {"what": row["what"].partition(":")[0], "angle_deg": row["angle_deg"], "value": row["relative_l2"]}
        for row in equivariance_error(backbone, x_BCHW, ANGLES_DEG, layers=True)
    ]
    if backbone.attention_maps(x_BCHW[:1]):
        rows += [
            {"what": f"attention gate {row['gate'] + 1}", "angle_deg": row["angle_deg"], "value": row["relative_l2"]}
            for row in attention_error(backbone, x_BCHW, ANGLES_DEG)
        ]
    return rows
