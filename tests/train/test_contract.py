"""What every objective owes by being registered; each test runs on all of them."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from equirgz.config import OptimizerConfig, TrainConfig
from equirgz.errors import InputError
from equirgz.objectives import OBJECTIVES, create_objective, list_objectives
from equirgz.train import TrainImages, make_validation, train
from equirgz.train.run import TrainingRun
from tests.train.test_trainer import Stop, stop_after
from tests.train.toy import OF_ROWS, make_backbone, make_task

pytestmark = pytest.mark.rounding

NAMES = [name for name in list_objectives() if name not in OF_ROWS]
# Parameters that must get no gradient from the loss, by the start of their names.
UNTRAINED = {"byol": ("target_",), "hybrid": ("target_",), "fixmatch": ("ema_",), "distill": ("teachers.",)}
SMALL = {
    "byol": {"hidden": 16, "projection": 8},
    "simclr": {"hidden": 16, "projection": 8},
    "vicreg": {"hidden": 16, "projection": 8},
    "lejepa": {"hidden": 16, "projection": 8, "n_directions": 8},
    "hybrid": {"hidden": 16, "projection": 8},
}


def make(name: str, backbone=None):
    return create_objective(name, backbone or make_backbone(dropout=0.1), 2, init_seed=1, **SMALL.get(name, {}))


def watch_gradients(monkeypatch) -> set[str]:
    """Return a set that takes the name of every parameter that a training gives a gradient."""
    reached, clip = set(), TrainingRun._clip

    def look(self):
        for key, parameter in self.objective.named_parameters():
            if parameter.grad is not None and (parameter.ndim <= 1 or bool(parameter.grad.any())):
                reached.add(key)
        return clip(self)

    monkeypatch.setattr(TrainingRun, "_clip", look)
    return reached


def make_images(hidden: bool = True) -> TrainImages:
    x_NCHW, y_N = make_task(16)
    u_MCHW, hidden_M = make_task(24, seed=5)
    return TrainImages(x_NCHW, y_N, u_MCHW, hidden_M if hidden else None)


def config(name: str, steps: int) -> TrainConfig:
    lr = {"ivon": 0.1, "sidda": 0.002, "sinkhorn": 0.002, "fixmatch": 0.003}.get(name, 0.01)
    return TrainConfig(steps=steps, batch_size=8, augmentation="flips", optimizer=OptimizerConfig(lr=lr))


def learn(name: str, seed: int):
    """Return the objective after 60 updates, and the mean loss of the last five over that of the first five."""
    objective = create_objective(name, make_backbone(seed), 2, init_seed=seed + 1, **SMALL.get(name, {}))
    settings = config(name, 60).model_copy(update={"augmentation": "none"})
    rows = train(objective, make_images(), settings, seed=seed, log_every=1).rows
    # Adaptation raises the loss when it sets in; what must fall everywhere is the supervised part.
    part = "supervised" if "supervised" in rows[-1] else "loss"
    return objective, sum(row[part] for row in rows[-5:]) / sum(row[part] for row in rows[:5])


@pytest.mark.parametrize("name", NAMES)
def test_learns_a_tiny_task(name):
    """The middle one of three seeds decides: another processor's rounding is one more seed, and one may be unlucky."""
    objectives, falls = zip(*(learn(name, seed) for seed in range(3)), strict=True)
    assert sorted(falls)[1] < 0.8
    objective = objectives[0]
    if not objective.needs_labels:
        with pytest.raises(InputError, match="no classifier"):
            objective.logits(torch.zeros(2, 1, 9, 9))
        return
    validate = make_validation(*make_task(24, seed=9))
    assert sorted(validate(objective)["error"] for objective in objectives)[1] <= 0.1
    x, _ = make_task(3)
    samples = objective.sample_logits(x, 4, torch.Generator().manual_seed(0))
    again = objective.sample_logits(x, 4, torch.Generator().manual_seed(0))
    assert samples.shape[0] in (1, 4) and samples.shape[1:] == (3, 2) and torch.equal(samples, again)
    assert (samples.shape[0] == 4) or objective.n_predictive_samples == 1


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_what_should_learn_and_nothing_else(name, monkeypatch):
    objective = make(name)
    reached = watch_gradients(monkeypatch)
    train(objective, make_images(), config(name, 4), seed=0)
    untrained = UNTRAINED.get(name, ("nothing",))
    expected = {key for key, _ in objective.named_parameters() if not key.startswith(untrained)}
    assert reached == expected


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_numbers_and_other_seed_others(name):
    states, rows = [], []
    for seed in (3, 3, 4):
        objective = make(name)
        rows.append(train(objective, make_images(), config(name, 5), seed=seed, log_every=1).rows)
        states.append(objective.state_dict())
    assert rows[0] == rows[1] != rows[2]
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


@pytest.mark.parametrize("name", NAMES)
def test_resume_is_exact(name, tmp_path, monkeypatch):
    keywords = {"seed": 7, "checkpoint_every": 2, "log_every": 1}
    whole = make(name)
    log = train(whole, make_images(), config(name, 7), work_dir=tmp_path / "whole", **keywords)
    with monkeypatch.context() as patch:
        stop_after(patch, 5)
        with pytest.raises(Stop):
            train(make(name), make_images(), config(name, 7), work_dir=tmp_path / "parts", **keywords)
    resumed = make(name)
    log2 = train(resumed, make_images(), config(name, 7), work_dir=tmp_path / "parts", **keywords)
    assert log2.resumed_from == 4 and log2.rows == log.rows
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


@pytest.mark.parametrize("name", [n for n in NAMES if make(n).uses_unlabelled])
def test_labels_of_unlabelled_sources_change_nothing(name):
    states = []
    for hidden in ("known", "shuffled", "absent"):
        images = make_images(hidden != "absent")
        if hidden == "shuffled":
            images.hidden_label_M = images.hidden_label_M[torch.randperm(24)]
        objective = make(name)
        train(objective, images, config(name, 5), seed=0)
        states.append(objective.state_dict())
    for other in states[1:]:
        assert all(torch.equal(value, other[key]) for key, value in states[0].items())


@pytest.mark.parametrize("name", NAMES)
def test_copies_pickles_and_strict_state_in_every_mode(name):
    objective = make(name)
    train(objective, make_images(), config(name, 2), seed=0)
    x, _ = make_task(3)
    for source in (objective.train(), objective.eval()):
        state = copy.deepcopy(source.state_dict())
        for target in (make(name).train(), make(name).eval()):
            target.load_state_dict(state, strict=True)
            assert torch.equal(target.eval().backbone(x), objective.eval().backbone(x))
    clone = pickle.loads(pickle.dumps(objective))
    assert torch.equal(clone.backbone(x), objective.backbone(x))
    assert torch.equal(copy.deepcopy(objective).backbone(x), objective.backbone(x))


# Numbers that are means over sources, drawn the same whatever a batch is cut into.
ADDITIVE = ("supervised", "fixmatch", "ivon", "laplace")


def two_steps(name: str, precision: str = "32-true", accumulate: int = 1):
    """Return the losses of two updates without batch norm and dropout, and the trained objective."""
    objective = make(name, make_backbone(norm=False))
    settings = config(name, 2).model_copy(update={"precision": precision})
    log = train(objective, make_images(), settings, seed=0, log_every=1, accumulate=accumulate)
    return [row["loss"] for row in log.rows], objective


@pytest.mark.parametrize("name", NAMES)
def test_bf16_and_accumulation(name):
    start, (whole, _) = make(name, make_backbone(norm=False)), two_steps(name)
    for options in ({"precision": "bf16-mixed"}, {"accumulate": 2}):
        losses, objective = two_steps(name, **options)
        assert losses == two_steps(name, **options)[0]
        assert all(torch.isfinite(value).all() for value in objective.state_dict().values())
        assert {p.dtype for p in objective.parameters()} == {torch.float32}
        trained = [k for k, _ in start.named_parameters() if not k.startswith(UNTRAINED.get(name, ("nothing",)))]
        still = [k for k in trained if torch.equal(start.get_parameter(k), objective.get_parameter(k))]
        assert still == [], options
        if "precision" in options:
            assert whole[0] != losses[0] == pytest.approx(whole[0], rel=0.05)
        elif name in ADDITIVE:
            assert losses == pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_float64_has_the_losses_of_float32(name):
    losses, objective = two_steps(name, "64-true")
    assert {p.dtype for p in objective.parameters()} == {torch.float64}
    drawn = name in ("variational", "ivon")  # their noise has other values in float64
    assert losses[0] == pytest.approx(two_steps(name)[0][0], rel=0.02 if drawn else 1e-5)


def test_unlabelled_set_is_asked_for_where_it_is_needed():
    x_NCHW, y_N = make_task(8)
    for name in ("fixmatch", "sidda", "mmd"):
        with pytest.raises(InputError, match="unlabelled"):
            train(make(name), TrainImages(x_NCHW, y_N), config(name, 2), seed=0)
    assert set(OBJECTIVES.names()) == {*NAMES, "masked_reconstruction"}
