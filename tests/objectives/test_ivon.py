"""IVON: one update against the algorithm in numpy, and its fixed point on a quadratic."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from equirgz.config import OptimizerConfig
from equirgz.errors import InputError
from equirgz.objectives import Batch, create_objective
from equirgz.train.optim import make_optimizer
from tests.train.toy import make_backbone, make_task


def make(weight_decay: float = 1e-3, **params):
    params = {"ess_factor": 10.0} | params
    objective = create_objective("ivon", make_backbone(norm=False), 2, init_seed=0, **params)
    objective.prepare(torch.zeros(24), 0)
    return objective, make_optimizer(objective, OptimizerConfig(lr=0.1, weight_decay=weight_decay))


def test_updates_equal_algorithm_1_in_numpy():
    objective, optimizer = make(beta2=0.9)
    x, y = make_task(8)
    name, h0, d, lr, b1, b2 = "classifier.weight", 0.5, 1e-3, 0.1, 0.9, 0.9
    m = objective.classifier.weight.detach().double().numpy().copy()
    h, momentum = np.full_like(m, h0), np.zeros_like(m)
    for t in range(1, 4):
        objective.training_step(Batch({"labelled": x}, y), t, 9)[0].backward()
        noise = objective.noise[name].double().numpy()
        g = objective.classifier.weight.grad.double().numpy().copy()
        optimizer.step()
        optimizer.zero_grad()
        s2 = 1 / (240.0 * (h + d))
        curvature = g * noise / s2
        momentum = b1 * momentum + (1 - b1) * g
        h = b2 * h + (1 - b2) * curvature + 0.5 * (1 - b2) ** 2 * (h - curvature) ** 2 / (h + d)
        m = m - lr * (h0 + d) * (momentum / (1 - b1**t) + d * m) / (h + d)
        assert objective.classifier.weight.detach().numpy() == pytest.approx(m, rel=1e-3, abs=1e-5)
    assert objective.std()[name].numpy() == pytest.approx(1 / np.sqrt(240 * (h + d)), rel=1e-3)


def test_curvature_finds_that_of_a_quadratic():
    objective, optimizer = make(weight_decay=1e-6, beta2=0.99)
    scale = torch.tensor([[0.5], [4.0]])
    for step in range(600):
        objective.training_step(Batch({"labelled": make_task(2)[0]}, torch.tensor([0, 1])), step, 600)
        objective.zero_grad()
        weight = objective.classifier.weight + objective.noise["classifier.weight"]
        (0.5 * scale * (weight - 1) ** 2).sum().backward()
        optimizer.step()
    found = objective.curvature_classifier_weight.mean(1)
    assert found.tolist() == pytest.approx([0.5, 4.0], rel=0.35)
    assert torch.allclose(objective.classifier.weight, torch.ones(2, 8), atol=0.05)


def test_one_draw_per_step_and_another_for_the_next():
    objective, _ = make()
    x, y = make_task(8)
    noises = []
    for step in (3, 3, 4):
        objective.training_step(Batch({"labelled": x}, y), step, 9)
        noises.append(objective.noise["classifier.weight"])
    assert torch.equal(noises[0], noises[1]) and not torch.equal(noises[0], noises[2])


def test_bad_options():
    with pytest.raises(InputError, match="weight_decay"):
        make(weight_decay=0.0)
    with pytest.raises(InputError, match="ess_factor"):
        make(ess_factor=0.0)
