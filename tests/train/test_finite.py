"""Numbers that are not finite, looked at step by step or many steps at once: no weight ever follows them."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from equirgz.config import OptimizerConfig, TrainConfig
from equirgz.errors import InputError, NumericalError
from equirgz.objectives import create_objective
from equirgz.objectives.ema import make_target, update_ema
from equirgz.train import TrainImages, fabric, optim, train
from equirgz.train.run import TrainingRun
from tests.train.toy import make_backbone, make_task

CONFIG = TrainConfig(steps=12, batch_size=8, augmentation="flips", optimizer=OptimizerConfig(lr=0.02, clip_norm=0.5))

# A step of AdamW is as long as its rate, 0.02; what rounding makes of twelve steps is 1e-4 on some processors.
ALIKE = {"rtol": 1e-3, "atol": 1e-3}


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Fused optimisers, whose steps the host does not wait for."""
    make = optim.make_optimizer
    monkeypatch.setattr(
        "equirgz.train.run.make_optimizer", lambda objective, config, device: make(objective, config, "cuda")
    )


def images() -> TrainImages:
    return TrainImages(*make_task())


def trained(steps: int = 12, name: str = "adamw", **options):
    optimizer = CONFIG.optimizer.model_copy(update={"name": name})
    config = CONFIG.model_copy(update={"steps": steps, "optimizer": optimizer})
    objective = create_objective("supervised", make_backbone(norm=False), 2, init_seed=1)
    return objective, train(objective, images(), config, seed=0, **options)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_both_ways_train_alike(name, as_on_a_gpu, monkeypatch):
    deferred, log = trained(name=name)
    monkeypatch.undo()
    at_once, expected = trained(name=name)
    for key, value in at_once.state_dict().items():
        torch.testing.assert_close(deferred.state_dict()[key], value, **ALIKE)
    assert [row["step"] for row in log.rows] == [row["step"] for row in expected.rows]


@pytest.mark.parametrize("what", ["loss", "gradient"])
@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_no_update_follows_a_bad_number(what, name, as_on_a_gpu, tmp_path, monkeypatch):
    kept = {}
    objective = create_objective("supervised", make_backbone(), 2, init_seed=1)
    step = type(objective).training_step

    def poisoned(self, batch, i, n):
        loss, logs = step(self, batch, i, n)
        if i == 5:
            kept.update({key: value.detach().clone() for key, value in self.named_parameters()})
            loss = loss * torch.nan if what == "loss" else loss + (0 * next(self.parameters())).sum().sqrt()
        return loss, logs

    monkeypatch.setattr(type(objective), "training_step", poisoned)
    optimizer = CONFIG.optimizer.model_copy(update={"name": name})
    config = CONFIG.model_copy(update={"optimizer": optimizer})
    with pytest.raises(NumericalError, match=rf"{what}.* at step 5: .*nan.*labelled sources \[\d+, .*checkpoint"):
        train(objective, images(), config, seed=0, work_dir=tmp_path, checkpoint_every=2)
    for key, value in objective.named_parameters():
        assert torch.equal(value, kept[key])
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["step"] == 4 and all(torch.isfinite(v).all() for v in state["model"].values())


class Reads(TorchDispatchMode):
    """Counts how often a number is read from a tensor, which on a GPU waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("objective", ["supervised", "byol"])
def test_nothing_is_read_within_a_step(objective, as_on_a_gpu):
    made = create_objective(objective, make_backbone(), 2, init_seed=1)
    run = TrainingRun(made, images(), CONFIG, 0, None, fabric.make_fabric(), 1)
    run.step = 1  # no step that is logged
    batch = run.batches.next()
    run.batches.next = lambda: batch  # drawn on the CPU
    run.update()
    with Reads() as reads:
        run.update()
    assert reads.count == 0


def test_a_checkpoint_goes_on_with_either_optimiser(tmp_path, monkeypatch):
    make = optim.make_optimizer
    whole, _ = trained()
    for first, second in (("cpu", "cuda"), ("cuda", "cpu")):
        folder = tmp_path / first
        for device, steps in ((first, 6), (second, 12)):
            monkeypatch.setattr("equirgz.train.run.make_optimizer", lambda o, c, _, device=device: make(o, c, device))
            objective = create_objective("supervised", make_backbone(norm=False), 2, init_seed=1)
            update, done = TrainingRun.update, []

            def limited(self, update=update, done=done, steps=steps):
                if self.step == steps:
                    raise KeyboardInterrupt
                done.append(self.step)
                return update(self)

            with monkeypatch.context() as patch:
                patch.setattr(TrainingRun, "update", limited)
                try:
                    train(objective, images(), CONFIG, seed=0, work_dir=folder, checkpoint_every=2)
                except KeyboardInterrupt:
                    assert steps == 6
        assert done == list(range(6, 12))
        for key, value in whole.state_dict().items():
            torch.testing.assert_close(objective.state_dict()[key], value, **ALIKE)


def test_moving_averages_are_those_of_the_formula():
    source, target = make_backbone(0), make_target(make_backbone(1))
    expected = {key: value.clone() for key, value in target.state_dict().items()}
    for key, value in source.state_dict().items():
        if value.is_floating_point():
            expected[key].lerp_(value, 1 - 0.9)
        else:
            expected[key].copy_(value)
    update_ema(target, source, 0.9)
    assert all(torch.equal(value, expected[key]) for key, value in target.state_dict().items())


def test_bf16_needs_a_cpu_that_has_it_or_to_be_asked_twice(monkeypatch):
    monkeypatch.setattr(fabric, "cpu_has_bf16", lambda: False)
    monkeypatch.delenv("EQUIRGZ_BF16", raising=False)
    with pytest.raises(InputError, match="bf16-mixed: expected a CPU with bfloat16.*EQUIRGZ_BF16=float32") as error:
        fabric.make_fabric("bf16-mixed", "cpu")
    assert len(str(error.value).splitlines()) == 1
    assert fabric.precision_of(fabric.make_fabric("32-true", "cpu")) == "32-true"
    monkeypatch.setenv("EQUIRGZ_BF16", "emulate")
    assert fabric.precision_of(fabric.make_fabric("bf16-mixed", "cpu")) == "bf16-mixed"
    monkeypatch.setenv("EQUIRGZ_BF16", "float32")
    asked = fabric.make_fabric("bf16-mixed", "cpu")
    assert fabric.precision_of(asked) == "32-true"
    objective = create_objective("supervised", make_backbone(), 2, init_seed=1)
    config = CONFIG.model_copy(update={"precision": "bf16-mixed", "steps": 1})
    log = train(objective, images(), config, seed=0, fabric=asked)
    assert log.warnings == ["asked for bf16-mixed, computed in 32-true"]
    monkeypatch.setenv("EQUIRGZ_BF16", "perhaps")
    with pytest.raises(InputError, match="EQUIRGZ_BF16"):
        fabric.make_fabric("bf16-mixed", "cpu")


def test_torch_is_asked_what_this_cpu_has():
    assert isinstance(fabric.cpu_has_bf16(), bool)
