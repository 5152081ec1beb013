"""The loop learns, resumes bit for bit, and stops with a clear error where it must."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from equirgz.backbones import create_backbone
from equirgz.config import OptimizerConfig, TrainConfig
from equirgz.errors import DataError, InputError, NumericalError, ResultsError
from equirgz.objectives import create_objective
from equirgz.train import TrainImages, make_validation, train
from equirgz.train.run import TrainingRun
from tests.train.toy import make_backbone, make_task

pytestmark = pytest.mark.rounding

CONFIG = TrainConfig(steps=12, batch_size=8, augmentation="flips", optimizer=OptimizerConfig(lr=0.02))


def make(name: str, **params):
    return create_objective(name, make_backbone(dropout=0.2), 2, init_seed=1, **params)


def images() -> TrainImages:
    x_NCHW, y_N = make_task()
    return TrainImages(x_NCHW, y_N)


class Stop(Exception):
    pass


def stop_after(monkeypatch, n_updates: int) -> None:
    update = TrainingRun.update
    done = []

    def limited(self):
        if len(done) == n_updates:
            raise Stop
        done.append(1)
        return update(self)

    monkeypatch.setattr(TrainingRun, "update", limited)


@pytest.mark.parametrize("name", ["supervised", "byol"])
@pytest.mark.parametrize("stop", [1, 5, 6, 11])
def test_resume_equals_uninterrupted(name, stop, tmp_path, monkeypatch):
    validate = make_validation(*make_task(seed=3)) if name == "supervised" else None
    keywords = {"seed": 7, "validate": validate, "checkpoint_every": 3, "log_every": 2}
    config = CONFIG.model_copy(update={"eval_every": 4, "selection_rule": "best_val" if validate else "last_step"})
    whole = make(name)
    log = train(whole, images(), config, work_dir=tmp_path / "whole", **keywords)
    with monkeypatch.context() as patch:
        stop_after(patch, stop)
        with pytest.raises(Stop):
            train(make(name), images(), config, work_dir=tmp_path / "parts", **keywords)
    torch.rand(5)  # somebody else's draws must not matter
    resumed = make(name)
    log2 = train(resumed, images(), config, work_dir=tmp_path / "parts", **keywords)
    assert log2.resumed_from == stop - stop % 3
    assert log2.rows == log.rows and log2.best_step == log.best_step
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key
    for name_of_log in ("log.jsonl", "log.csv"):
        assert (tmp_path / "whole" / name_of_log).read_bytes() == (tmp_path / "parts" / name_of_log).read_bytes()
    third = make(name)
    assert train(third, images(), config, work_dir=tmp_path / "parts", **keywords).rows == log.rows
    assert all(torch.equal(v, third.state_dict()[k]) for k, v in whole.state_dict().items())


def test_learns_and_leaves_global_generator_alone():
    objective = make("supervised")
    before = torch.get_rng_state()
    config = TrainConfig(steps=60, batch_size=16, augmentation="none", optimizer=OptimizerConfig(lr=0.02))
    log = train(objective, images(), config, seed=0)
    assert torch.equal(before, torch.get_rng_state())
    assert log.rows[-1]["loss"] < 0.2 < log.rows[0]["loss"]
    assert not objective.training
    assert make_validation(*make_task(seed=9))(objective)["error"] <= 0.05


def test_same_seed_same_numbers_other_seed_others():
    logs = [train(make("byol"), images(), CONFIG, seed=seed).rows for seed in (1, 1, 2)]
    assert logs[0] == logs[1] != logs[2]


def test_nan_loss_stops_before_update_and_keeps_checkpoint(tmp_path, monkeypatch):
    objective = make("supervised")
    step = type(objective).training_step

    def poisoned(self, batch, i, n):
        loss, logs = step(self, batch, i, n)
        return (loss * float("nan") if i == 5 else loss), logs

    monkeypatch.setattr(type(objective), "training_step", poisoned)
    with pytest.raises(NumericalError, match=r"step 5.*labelled sources \[\d+, .*checkpoint") as error:
        train(objective, images(), CONFIG, seed=0, work_dir=tmp_path, checkpoint_every=2)
    assert len(str(error.value).splitlines()) == 1
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["step"] == 4
    assert all(torch.isfinite(v).all() for v in state["model"].values())
    assert all(torch.isfinite(p).all() for p in objective.parameters())


def test_best_val_keeps_best_weights_ties_by_nll(monkeypatch):
    objective = make("supervised")
    found = iter([(0.5, 1.0), (0.2, 0.9), (0.2, 0.4), (0.2, 0.6), (0.3, 0.1), (0.2, 0.5)])
    seen = []

    def validate(o):
        error, nll = next(found)
        seen.append({k: v.clone() for k, v in o.state_dict().items()})
        return {"error": error, "nll": nll}

    config = CONFIG.model_copy(update={"eval_every": 2, "selection_rule": "best_val"})
    log = train(objective, images(), config, seed=0, validate=validate)
    assert log.best_step == 6
    assert all(torch.equal(v, objective.state_dict()[k]) for k, v in seen[2].items())
    with pytest.raises(InputError, match="n_val"):
        train(make("supervised"), images(), config, seed=0)


def test_checkpoint_of_another_training_and_damaged_one_are_refused(tmp_path):
    train(make("supervised"), images(), CONFIG, seed=0, work_dir=tmp_path)
    with pytest.raises(ResultsError, match="another configuration"):
        train(make("supervised"), images(), CONFIG, seed=1, work_dir=tmp_path)
    with pytest.raises(ResultsError, match="another configuration"):
        train(make("supervised", label_smoothing=0.1), images(), CONFIG, seed=0, work_dir=tmp_path)
    with pytest.raises(ResultsError, match="another configuration"):
        train(make("supervised", dropout=0.5), images(), CONFIG, seed=0, work_dir=tmp_path)
    with pytest.raises(ResultsError, match="another configuration"):
        train(make("supervised"), replace(images(), mask=False), CONFIG, seed=0, work_dir=tmp_path)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ResultsError, match="damaged"):
        train(make("supervised"), images(), CONFIG, seed=0, work_dir=tmp_path)


@pytest.mark.parametrize("first, second", [("C4", "D2"), ("C8", "D4")])
def test_groups_of_one_order_are_different_trainings(first, second, tmp_path):
    config = CONFIG.model_copy(update={"steps": 2})
    for group in (first, second):
        with pytest.raises(ResultsError, match="another configuration") if group == second else nullcontext():
            backbone = create_backbone("steerable_lenet", group=group, image_size=33, width=1)
            objective = create_objective("supervised", backbone, 2, init_seed=0)
            train(objective, TrainImages(*make_task(8, 33)), config, seed=0, work_dir=tmp_path)


def test_tuples_of_weights_are_part_of_a_training(tmp_path):
    train(make("vicreg"), images(), CONFIG, seed=0, work_dir=tmp_path)
    with pytest.raises(ResultsError, match="another configuration"):
        train(make("vicreg", invariance=1.0), images(), CONFIG, seed=0, work_dir=tmp_path)


def test_log_file_is_json_lines(tmp_path):
    log = train(make("byol"), images(), CONFIG, seed=0, work_dir=tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows == log.rows and rows[-1]["step"] == 12 and "effective_rank" in rows[-1]


def test_bad_sets_are_refused():
    x_NCHW, y_N = make_task()
    cases = [
        (TrainImages(x_NCHW), InputError, "expected labels"),
        (TrainImages(x_NCHW, torch.zeros_like(y_N)), InputError, "two classes"),
        (TrainImages(x_NCHW, y_N - 1), InputError, "classes 0 to 1"),
        (TrainImages(x_NCHW, y_N + 1), InputError, "classes 0 to 1"),
        (TrainImages(x_NCHW, y_N.double()), InputError, "integer"),
    ]
    for bad, kind, words in cases:
        with pytest.raises(kind, match=words):
            train(make("supervised"), bad, CONFIG, seed=0)
    with pytest.raises(InputError, match="one per image"):
        TrainImages(x_NCHW, y_N[:3])
    x_NCHW[4, 0, 2, 2] = float("nan")
    with pytest.raises(DataError, match=r"\[4\]"):
        TrainImages(x_NCHW, y_N)


def test_batch_too_small_for_batch_norm():
    config = CONFIG.model_copy(update={"batch_size": 1})
    with pytest.raises(InputError, match="batch norm"):
        train(make("supervised"), images(), config, seed=0)
    bare = create_objective("supervised", make_backbone(norm=False), 2)
    train(bare, images(), config, seed=0)


def test_frozen_backbone_stays_in_eval_and_unchanged():
    objective = make("supervised", freeze_backbone=True)
    before = {k: v.clone() for k, v in objective.backbone.state_dict().items()}
    head = objective.classifier.weight.detach().clone()
    train(objective, images(), CONFIG, seed=0)
    assert all(torch.equal(v, before[k]) for k, v in objective.backbone.state_dict().items())
    assert not torch.equal(head, objective.classifier.weight)


def test_accumulation_equals_whole_batch():
    losses = []
    config = CONFIG.model_copy(update={"precision": "64-true"})  # else twelve updates may part by rounding
    for parts in (1, 2, 4):
        objective = create_objective("supervised", make_backbone(norm=False), 2, init_seed=1)
        losses.append([row["loss"] for row in train(objective, images(), config, seed=0, accumulate=parts).rows])
    assert losses[1] == pytest.approx(losses[0], rel=1e-9)
    assert losses[2] == pytest.approx(losses[0], rel=1e-9)


def test_bf16_and_float64_follow_float32():
    """Over three updates by plain gradient descent, in which a rounding error stays one."""
    optimizer = OptimizerConfig(name="sgd", lr=0.01, momentum=0)
    curves = {}
    for precision in ("32-true", "64-true", "bf16-mixed"):
        config = CONFIG.model_copy(update={"steps": 3, "precision": precision, "optimizer": optimizer})
        objective = create_objective("supervised", make_backbone(), 2, init_seed=1)
        curves[precision] = [row["loss"] for row in train(objective, images(), config, seed=0, log_every=1).rows]
    assert curves["64-true"] == pytest.approx(curves["32-true"], rel=1e-4)
    assert curves["bf16-mixed"] == pytest.approx(curves["32-true"], rel=0.05)
    assert curves["bf16-mixed"] != curves["32-true"]


def test_collapse_is_warned_of_once_with_the_meters(caplog):
    same_MCHW = torch.ones(16, 1, 9, 9)
    config = TrainConfig(steps=80, batch_size=8, augmentation="none")
    objective = create_objective("byol", make_backbone(), 2, init_seed=1, hidden=16, projection=8)
    log = train(objective, TrainImages(u_MCHW=same_MCHW), config, seed=0)
    assert len(log.warnings) == 1 and log.warnings[0] in caplog.text
    assert "spread" in log.warnings[0] and "effective rank" in log.warnings[0]
    healthy = train(make("byol", hidden=16, projection=8), images(), config, seed=0)
    assert not [line for line in healthy.warnings if line.startswith("collapsed")]


def test_progress_bar_counts_to_the_end(capsys, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(patch, 6)
        with pytest.raises(Stop):
            train(make("supervised"), images(), CONFIG, seed=0, work_dir=tmp_path, checkpoint_every=3)
    assert capsys.readouterr().err == ""
    train(make("supervised"), images(), CONFIG, seed=0, work_dir=tmp_path, progress=True)
    shown = capsys.readouterr().err
    assert "12/12" in shown and len(shown.split("\r")) <= 4  # no terminal: a few lines for a log


def test_bright_images_of_half_precision_are_finite():
    """Their sum is not."""
    TrainImages(torch.full((2, 150, 150), 5.0, dtype=torch.float16), torch.tensor([0, 1]))
