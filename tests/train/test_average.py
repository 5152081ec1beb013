"""The moving average of weights: its formula, what validation sees, what is kept, and an exact resume."""

import pytest
import torch

from equirgz.config import OptimizerConfig, TrainConfig
from equirgz.objectives import create_objective
from equirgz.train import TrainImages, make_validation, train
from equirgz.train.average import WeightAverage
from equirgz.train.run import TrainingRun
from tests.train.toy import make_backbone, make_task

CONFIG = TrainConfig(steps=9, batch_size=8, augmentation="flips", optimizer=OptimizerConfig(lr=0.02), ema=0.8)


def make():
    return create_objective("supervised", make_backbone(dropout=0.2), 2, init_seed=1)


def weights(module):
    return {name: t.clone() for name, t in module.state_dict().items() if t.is_floating_point()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_average_is_the_sum_of_its_formula(monkeypatch):
    seen, update = [], TrainingRun.update

    def watched(self):
        values = update(self)
        seen.append(weights(self.objective))
        return values

    objective = make()
    expected = weights(objective)
    monkeypatch.setattr(TrainingRun, "update", watched)
    train(objective, TrainImages(*make_task()), CONFIG, seed=7)
    for t, w in enumerate(seen):
        m = min(0.8, (1 + t) / (10 + t))
        expected = {name: m * expected[name] + (1 - m) * w[name] for name in w}
    kept = weights(objective)
    assert all(torch.allclose(kept[name], value, rtol=1e-5, atol=1e-7) for name, value in expected.items())
    assert not same(kept, seen[-1]) and not objective.training


def test_the_average_changes_no_update_and_none_is_the_default():
    logs = [
        train(make(), TrainImages(*make_task()), CONFIG.model_copy(update={"ema": ema}), seed=7) for ema in (None, 0.8)
    ]
    assert [row["loss"] for row in logs[0].rows] == [row["loss"] for row in logs[1].rows]
    assert "ema" not in TrainConfig().model_dump() and CONFIG.model_dump()["ema"] == 0.8


@pytest.mark.parametrize("rule", ["last_step", "best_val"])
def test_validation_sees_what_is_kept(rule):
    measured, inner = [], make_validation(*make_task(seed=3))

    def validate(objective):
        measured.append((inner(objective), weights(objective)))
        return measured[-1][0]

    objective, config = make(), CONFIG.model_copy(update={"eval_every": 3, "selection_rule": rule})
    log = train(objective, TrainImages(*make_task()), config, seed=7, validate=validate)
    best = min(range(3), key=lambda k: (tuple(measured[k][0].values()), k)) if rule == "best_val" else 2
    assert same(weights(objective), measured[best][1])
    assert log.best_step == 3 * (1 + min(range(3), key=lambda k: (tuple(measured[k][0].values()), k)))


@pytest.mark.parametrize("stop", [2, 7])
def test_resume_goes_on_with_the_average(stop, tmp_path, monkeypatch):
    keywords = {"seed": 7, "checkpoint_every": 2}
    whole = make()
    train(whole, TrainImages(*make_task()), CONFIG, **keywords)
    update = TrainingRun.update

    def limited(self):
        if self.step == stop:
            raise KeyboardInterrupt
        return update(self)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrainingRun, "update", limited)
        train(make(), TrainImages(*make_task()), CONFIG, work_dir=tmp_path, **keywords)
    resumed = make()
    assert (
        train(resumed, TrainImages(*make_task()), CONFIG, work_dir=tmp_path, **keywords).resumed_from == stop // 2 * 2
    )
    assert same(weights(resumed), weights(whole))


def test_the_own_weights_come_back_after_a_look_inside():
    module = torch.nn.BatchNorm1d(3)
    average = WeightAverage(module, 0.5)
    with torch.no_grad():
        module.weight += 1
    own = weights(module)
    with average.inside(module):
        assert torch.equal(module.weight, torch.ones(3))
    assert same(weights(module), own)
