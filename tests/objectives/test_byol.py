"""BYOL: the loss is the formula, the target follows by EMA with its buffers, the meters see a collapse."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from equirgz.errors import InputError
from equirgz.objectives import Batch, create_objective
from equirgz.objectives.ema import cosine_momentum, update_ema
from equirgz.objectives.selfsupervised.collapse import (
    compute_collapse_meters,
    compute_effective_rank,
    compute_spread,
)
from equirgz.objectives.selfsupervised.view_losses import compute_byol_loss
from tests.train.toy import make_backbone, make_task


def test_loss_equals_squared_distance_of_unit_vectors():
    p_BP, t_BP = torch.randn(5, 7, dtype=torch.float64), torch.randn(5, 7, dtype=torch.float64)
    slow = sum(float(((p / p.norm() - t / t.norm()) ** 2).sum()) for p, t in zip(p_BP, t_BP, strict=True)) / 5
    assert float(compute_byol_loss(p_BP, t_BP)) == pytest.approx(slow, rel=1e-12)
    assert float(compute_byol_loss(p_BP, 3 * p_BP)) == pytest.approx(0, abs=1e-12)
    assert float(compute_byol_loss(p_BP, -p_BP)) == pytest.approx(4)


def test_training_step_equals_slow_reference():
    objective = create_objective("byol", make_backbone(), 2, init_seed=0, hidden=6, projection=5)
    x1, _ = make_task(8, seed=1)
    x2, _ = make_task(8, seed=2)
    slow = copy.deepcopy(objective)
    loss, _ = objective.training_step(Batch({"unlabelled_1": x1, "unlabelled_2": x2}), 1, 10)
    q1 = slow.predictor(slow.projector(slow.backbone(x1)))
    q2 = slow.predictor(slow.projector(slow.backbone(x2)))
    t1 = slow.target_projector(slow.target_backbone(x1))
    t2 = slow.target_projector(slow.target_backbone(x2))
    total = 0.0
    for q, t in ((q1, t2), (q2, t1)):
        for i in range(8):
            total += 2 - 2 * float((q[i] @ t[i] / (q[i].norm() * t[i].norm())).detach())
    assert float(loss.detach()) == pytest.approx(total / 16, rel=1e-5)


def test_gradients_reach_online_only():
    objective = create_objective("byol", make_backbone(), 2)
    x, _ = make_task(8)
    loss, logs = objective.training_step(Batch({"unlabelled_1": x, "unlabelled_2": x.flip(-2)}), 0, 10)
    loss.backward()
    for name, parameter in objective.named_parameters():
        if name.startswith("target_"):
            assert parameter.grad is None and not parameter.requires_grad
        else:
            assert parameter.grad is not None, name
    assert {"spread", "effective_rank", "collapsed"} <= set(logs)


@pytest.mark.parametrize("training", [True, False])
def test_ema_moves_parameters_and_buffers(training):
    source, target = nn.BatchNorm1d(3).train(training), nn.BatchNorm1d(3).train(training)
    source.weight.data += 1
    source.running_mean += 2
    source.running_var *= 5
    source.num_batches_tracked += 7
    update_ema(target, source, 0.75)
    assert torch.allclose(target.weight, torch.full((3,), 1.25))
    assert torch.allclose(target.running_mean, torch.full((3,), 0.5))
    assert torch.allclose(target.running_var, torch.full((3,), 2.0))
    assert int(target.num_batches_tracked) == 7
    before = target.weight.detach().clone()
    update_ema(target, source, 1.0)
    assert torch.equal(before, target.weight)
    update_ema(target, source, 0.0)
    assert torch.equal(target.weight, source.weight)
    with pytest.raises(InputError, match="architecture"):
        update_ema(nn.Linear(2, 2), nn.Linear(3, 2), 0.5)


def test_target_output_follows_in_eval_mode():
    objective = create_objective("byol", make_backbone(), 2, base_momentum=0.0).eval()
    x, _ = make_task(4)
    before = objective.target_backbone(x)
    with torch.no_grad():
        for parameter in objective.backbone.parameters():
            parameter += 0.1
    objective.after_step(0, 10)
    assert not torch.allclose(before, objective.target_backbone(x))
    assert torch.allclose(objective.backbone(x), objective.target_backbone(x))


def test_momentum_rises_from_base_to_one():
    assert cosine_momentum(0.9, 0, 100) == pytest.approx(0.9)
    assert cosine_momentum(0.9, 50, 100) == pytest.approx(0.95)
    assert cosine_momentum(0.9, 100, 100) == 1.0
    with pytest.raises(InputError, match="base_momentum"):
        create_objective("byol", make_backbone(), 2, base_momentum=1.5)


def test_meters_of_collapsed_and_isotropic_projections():
    generator = torch.Generator().manual_seed(0)
    isotropic = torch.randn(4000, 16, generator=generator)
    assert compute_spread(isotropic) == pytest.approx(1, abs=0.02)
    assert compute_effective_rank(isotropic) == pytest.approx(16, rel=0.02)
    constant = torch.ones(64, 16)
    found = compute_collapse_meters(constant, isotropic)
    assert (found["spread"], found["effective_rank"], found["collapsed"]) == (0.0, 1.0, 1.0)
    assert found["feature_spread"] == pytest.approx(1, abs=0.02)
    assert compute_collapse_meters(isotropic, isotropic)["collapsed"] == 0.0
    assert compute_collapse_meters(isotropic, 1 + 1e-4 * isotropic)["collapsed"] == 1.0
    line = torch.randn(64, 1, generator=generator) * torch.ones(1, 16)
    assert compute_effective_rank(line) == pytest.approx(1, abs=1e-3)
    assert compute_collapse_meters(line, isotropic)["collapsed"] == 1.0
    plane = torch.zeros(4, 16)
    plane[0, 0], plane[1, 0], plane[2, 1], plane[3, 1] = 1, -1, 1, -1
    assert compute_effective_rank(plane) == pytest.approx(2)


def test_byol_has_no_classifier():
    with pytest.raises(InputError, match="linear probe"):
        create_objective("byol", make_backbone(), 2).logits(torch.zeros(2, 1, 9, 9))
