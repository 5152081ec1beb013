"""Pruning takes the lowest scores and nothing else; scores are their definitions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from equirgz.errors import InputError
from equirgz.objectives import create_objective
from equirgz.objectives.bayesian.pruning import (
    compute_fisher,
    compute_pruning_curve,
    compute_signal_to_noise,
    prune,
)
from tests.train.toy import make_backbone, make_task


@pytest.fixture(params=["variational", "ivon"])
def objective(request):
    made = create_objective(request.param, make_backbone(), 2, init_seed=0)
    made.prepare(torch.zeros(24), 0)
    return made


def test_signal_to_noise(objective):
    score = compute_signal_to_noise(objective)["classifier.weight"]
    expected = objective.classifier.weight.abs() / objective.std()["classifier.weight"]
    assert torch.allclose(score, expected.detach())


def test_fisher_is_the_mean_squared_gradient(objective):
    x, y = make_task(4)
    fisher = compute_fisher(objective, x, y)["classifier.weight"]
    objective.eval()
    slow = torch.zeros_like(fisher)
    for i in range(4):
        objective.zero_grad()
        F.cross_entropy(objective.logits(x[i : i + 1]), y[i : i + 1]).backward()
        slow += objective.classifier.weight.grad**2 / 4
    assert torch.allclose(fisher, slow)


def test_lowest_scores_go_with_their_noise(objective):
    score = compute_signal_to_noise(objective)
    pruned = prune(objective, score, 0.25, "classifier.weight")
    flat, kept = score["classifier.weight"].flatten(), pruned.classifier.weight.flatten() != 0
    assert int((~kept).sum()) == 4 and flat[~kept].max() <= flat[kept].min()
    assert torch.equal(pruned.classifier.weight.flatten()[kept], objective.classifier.weight.flatten()[kept])
    draw = pruned.draw_weights()["classifier.weight"].flatten()
    assert not draw[~kept].any() and draw[kept].all()
    assert torch.equal(pruned.backbone.stage[0].weight, objective.backbone.stage[0].weight)
    assert objective.classifier.weight.all()


def test_curve_ends_at_a_constant_network(objective):
    x, _ = make_task(5)
    score = compute_signal_to_noise(objective)

    def spread(pruned):
        return {"spread": float(pruned.eval().sample_logits(x, 2)[0].std(0).max().detach())}

    rows = compute_pruning_curve(objective, score, (0.0, 0.5, 1.0), spread, "classifier.*")
    assert [row["share"] for row in rows] == [0.0, 0.5, 1.0]
    assert rows[0]["spread"] > 0 and rows[2]["spread"] == 0
    with pytest.raises(InputError, match="share"):
        prune(objective, score, 1.5)
    with pytest.raises(InputError, match="pattern"):
        prune(objective, score, 0.5, "nothing")
