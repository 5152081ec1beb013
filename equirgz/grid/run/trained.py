"""What is measured on the trained network of a run: its read-outs, and its answers as the sources turn.

Legend: S predictive samples, N sources, C channels, H W pixels, F features, K classes, A angles.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from equirgz.backbones import Backbone, measure_cost
from equirgz.config import RunConfig
from equirgz.data import Data, ImageSet
from equirgz.data.overlap.describe import count_groups
from equirgz.evaluate import equivariance_error
from equirgz.evaluate.predict import decode, mean_over_turns, predict_turns, turn_back, view_turns
from equirgz.evaluate.rotation import make_angles, rotation_rows
from equirgz.evaluate.turned_samples import overlap_rows, rotation_samples, rotation_samples_of_views
from equirgz.grid.run.blocks import Block
from equirgz.grid.run.sample_rows import sample_rows
from equirgz.grid.run.targets import find_targets
from equirgz.objectives.base import Objective
from equirgz.seeding import derive_seed
from equirgz.tasks import Task

Rows = list[dict[str, Any]]
EQUIVARIANCE_ANGLES_DEG = (30.0, 45.0, 90.0)
N_EQUIVARIANCE = 64  # test sources on which equivariance is measured


@dataclass(frozen=True)
class TrainedRun:
    """What measuring needs of a run; ``objective`` is None while only its features are there to be read."""

    config: RunConfig
    task: Task
    backbone: Backbone
    objective: Objective | None
    labelled: ImageSet
    eval_sets: dict[str, ImageSet]
    batch_size: int  # images at a time
    unlabelled: ImageSet | None = None  # sources that the training saw without labels, where there is such a set
    turned: dict[float, np.ndarray] = field(default_factory=dict)  # answers to the test set by turn, once given


def make_block(run: TrainedRun, readout: str, split: str, answer_N: np.ndarray) -> Block:
    """Return what is kept of the answers of a read-out on one of the run's sets."""
    images = run.eval_sets[split]
    return Block(readout, split, images.source_id_N, run.task, run.task.keep(answer_N, find_targets(run.task, images)))


def read_out_network(run: TrainedRun) -> tuple[list[Block], Rows]:
    """Return the blocks of the trained network and, of classes, where it has predictive samples, their rows."""
    if "network" not in run.config.evaluation.readouts:
        return [], []
    turns_deg = view_turns(run.objective, run.config.evaluation.views)
    samples = {}
    for split, images in run.eval_sets.items():
        turned = _answer_turns(run, images.x_NCHW, turns_deg)
        samples[split] = mean_over_turns(turned, turns_deg)
        if split == "test" and not run.task.dense:
            run.turned.update(turned)
    answers = {split: decode(run.objective, p_SNK.mean(0)) for split, p_SNK in samples.items()}
    blocks = [make_block(run, "network", split, answer_N) for split, answer_N in answers.items()]
    if run.objective.n_predictive_samples == 1 or not run.task.categorical:
        return blocks, []
    targets = {split: images.label_N for split, images in run.eval_sets.items()}
    return blocks, [{"readout": "network", **row} for row in sample_rows(samples, targets)]


def _answer_turns(run: TrainedRun, x_NCHW: Any, turns_deg: list[float]) -> dict[float, np.ndarray]:
    """Return turn -> answers of the network to the images so turned."""
    seed = derive_seed(run.config.seed, "predict")
    return predict_turns(
        run.objective, x_NCHW, turns_deg, run.objective.n_predictive_samples, run.batch_size, seed=seed
    )


def _answer_test(run: TrainedRun, x_NCHW: torch.Tensor, turns_deg: list[float]) -> dict[float, np.ndarray]:
    """As :func:`_answer_turns`, of images that may be the test set itself, which was asked before."""
    known = run.turned
    test_NCHW = torch.as_tensor(run.eval_sets["test"].x_NCHW)
    if not torch.equal(x_NCHW, test_NCHW.to(x_NCHW)):
        known = {}
    missing = [turn for turn in turns_deg if turn not in known]
    return {**known, **(_answer_turns(run, x_NCHW, missing) if missing else {})}


def _turn_and_answer(run: TrainedRun, x_NCHW: np.ndarray, angles_deg: list[float]) -> np.ndarray:
    """Return the answers (A, S, N, ...) of the network to sources as they turn, means over its views."""
    views, mask = run.config.evaluation.views, run.config.data.mask
    turns_deg = view_turns(run.objective, views)
    if not run.task.dense:
        return rotation_samples_of_views(
            lambda x, turns: _answer_test(run, x, turns), x_NCHW, angles_deg, views, mask=mask
        )
    ask = lambda x: mean_over_turns(_answer_turns(run, x, turns_deg), turns_deg)  # noqa: E731
    return rotation_samples(ask, x_NCHW, angles_deg, mask=mask)


def measure_rotation(run: TrainedRun) -> Rows:
    """Return the network's numbers on the test set as it turns; the overlap index where it has samples of classes.

    Spectra are not turned and have no such rows.
    """
    test = run.eval_sets["test"]
    target_N = find_targets(run.task, test)
    known_N = run.task.known(target_N)
    if "network" not in run.config.evaluation.readouts or not known_N.any() or test.holds_rows:
        return []
    if not run.task.categorical:
        return _measure_turned(run, test.x_NCHW[known_N], target_N[known_N])
    angles_deg = make_angles(run.config.evaluation.rotation_angles)
    probability_ASNK = _turn_and_answer(run, test.x_NCHW[known_N], angles_deg)
    target_n = target_N[known_N]
    if run.objective.n_predictive_samples > 1:
        rows = overlap_rows(probability_ASNK, target_n, angles_deg)
    else:
        rows = rotation_rows(probability_ASNK[:, 0], target_n, angles_deg)
    return [{"readout": "network", "split": "test", **row} for row in rows]


def _measure_turned(run: TrainedRun, x_NCHW: np.ndarray, target_N: np.ndarray) -> Rows:
    """Return ``rotation/loss`` per angle: the mean of what a turned source adds to the headline of the task.

    Answers per pixel are turned back before they are compared.
    """
    headline, rows = run.task.headline, []
    angles_deg = make_angles(run.config.evaluation.rotation_angles)
    found = None if run.task.dense else _turn_and_answer(run, x_NCHW, angles_deg)
    for i, angle_deg in enumerate(angles_deg):
        turned = _turn_and_answer(run, x_NCHW, [angle_deg])[0] if found is None else found[i]
        if run.task.dense:
            turned = turn_back(torch.from_numpy(turned), angle_deg).numpy()
        answer_N = decode(run.objective, turned.mean(0))
        value = float(np.nanmean(run.task.loss_per_source(run.task.keep(answer_N, target_N))))
        unit = headline.unit if headline.direction == "lower" else "1"
        row = {"metric": "rotation/loss", "angle_deg": angle_deg, "value": value, "unit": unit, "direction": "lower"}
        rows.append({"readout": "network", "split": "test", **row, "n": len(target_N)})
    return rows


def measure_equivariance(run: TrainedRun) -> Rows:
    """Return how far features and maps of the trained network are from their symmetry on test sources.

    No rows for spectra, of which no such symmetry is claimed.
    """
    if run.eval_sets["test"].holds_rows:
        return []
    x_NCHW = torch.as_tensor(run.eval_sets["test"].x_NCHW[:N_EQUIVARIANCE]).to(next(run.backbone.parameters()))
    found = equivariance_error(run.backbone, x_NCHW, EQUIVARIANCE_ANGLES_DEG, reflect=(False, True))
    names = {"features": "equivariance/relative_l2", "maps": "equivariance/maps_relative_l2"}
    common = {"readout": "features", "split": "test", "unit": "1", "direction": "lower", "n": len(x_NCHW)}
    return [
        {
            **common,
            "metric": names[row["what"]] + ("_reflected" * row["reflect"]),
            "angle_deg": row["angle_deg"],
            "value": row["relative_l2"],
        }
        for row in found
    ]


def count_sources(data: Data) -> Rows:
    """Return how many of one's own images show the same sources, as :func:`count_groups`; none for other sets."""
    common = {"readout": "", "split": "", "unit": "1", "direction": "none"}
    found = count_groups(data)
    return [{**common, "metric": f"data/{key}", "value": float(n), "n": found["images"]} for key, n in found.items()]


def measure_size(run: TrainedRun) -> Rows:
    """Return the network's cost: parameters, multiply-adds and activation bytes per image."""
    units = {"parameters": "1", "multiply_adds": "1", "activation_bytes": "byte"}
    found = measure_cost(run.backbone)
    common = {"readout": "", "split": "", "direction": "lower", "n": 1}
    return [
        {**common, "metric": f"cost/{key}", "value": float(found[key]), "unit": unit} for key, unit in units.items()
    ]
