"""The schedule is the formula, groups get their rates, norms and biases do not decay."""

from __future__ import annotations

import math

import pytest
import torch

from equirgz.config import OptimizerConfig
from equirgz.errors import InputError
from equirgz.objectives import create_objective
from equirgz.train.optim import lr_factor, make_optimizer, make_parameter_groups, set_lr
from tests.train.toy import make_backbone


def test_warmup_reaches_one_exactly_at_its_end_then_cosine():
    factors = [lr_factor(step, 100, 10) for step in range(100)]
    assert factors[:10] == pytest.approx([i / 10 for i in range(1, 11)])
    assert factors[9] == 1.0 and max(factors) == 1.0
    assert all(a > b for a, b in zip(factors[10:], factors[11:], strict=False))
    assert factors[55] == pytest.approx(0.5)
    assert 0 < factors[-1] < 1e-3


def test_constant_and_no_warmup():
    assert [lr_factor(step, 5, 0, "constant") for step in range(5)] == [1.0] * 5
    assert lr_factor(0, 5) == 1.0
    assert lr_factor(4, 5) == pytest.approx((1 + math.cos(math.pi * 4 / 5)) / 2)
    with pytest.raises(InputError, match="fewer than steps"):
        lr_factor(0, 10, 10)


def test_layer_decay_by_block_and_no_decay_of_norms_and_biases():
    objective = create_objective("supervised", make_backbone(), 2)
    config = OptimizerConfig(lr=0.1, weight_decay=0.5, layer_decay=0.5)
    where = {}
    for group in make_parameter_groups(objective, config):
        for parameter in group["params"]:
            where[id(parameter)] = (group["lr_scale"], group["weight_decay"])
    found = {name: where[id(p)] for name, p in objective.named_parameters()}
    assert found["classifier.weight"] == (1.0, 0.5)
    assert found["classifier.bias"] == (1.0, 0.0)
    assert found["backbone.stage.0.weight"] == (1.0, 0.5)
    assert found["backbone.stem.0.weight"] == (0.5, 0.5)
    assert found["backbone.stem.0.bias"] == (0.5, 0.0)
    assert found["backbone.stem.1.weight"] == (0.5, 0.0)
    assert len(where) == len(list(objective.parameters()))


def test_sgd_step_follows_scaled_rate():
    objective = create_objective("supervised", make_backbone(), 2)
    config = OptimizerConfig(name="sgd", lr=0.1, momentum=0.0, weight_decay=0.0, layer_decay=0.25)
    optimizer = make_optimizer(objective, config)
    set_lr(optimizer, 0.04)
    before = {name: p.detach().clone() for name, p in objective.named_parameters()}
    for p in objective.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    moved = {name: (before[name] - p.detach()).mean().item() for name, p in objective.named_parameters()}
    assert moved["classifier.weight"] == pytest.approx(0.04, rel=1e-5)
    assert moved["backbone.stem.0.weight"] == pytest.approx(0.01, rel=1e-5)


def test_nothing_to_train_is_refused():
    objective = create_objective("supervised", make_backbone(), 2).requires_grad_(False)
    with pytest.raises(InputError, match="unfreeze"):
        make_optimizer(objective, OptimizerConfig())
