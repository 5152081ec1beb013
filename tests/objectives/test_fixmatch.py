"""FixMatch: the step is the formula, alignment balances guesses, hidden labels are for logs alone."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from equirgz.errors import InputError
from equirgz.objectives import Batch, create_objective
from tests.train.toy import make_backbone, make_task


def make(**params):
    return create_objective("fixmatch", make_backbone(), 2, init_seed=0, **params)


def make_batch() -> Batch:
    x, y = make_task(6)
    u, hidden = make_task(12, seed=4)
    return Batch({"labelled": x, "weak": u, "strong": u.flip(-2) * 0.9}, y, hidden_label_B=hidden)


def test_step_is_the_formula():
    objective, batch = make(threshold=0.52, weight=2.0), make_batch()
    slow = copy.deepcopy(objective)
    loss, logs = objective.training_step(batch, 0, 10)
    with torch.no_grad():
        weak = slow.classifier(slow.backbone(batch.view["weak"])).softmax(1)
        both = slow.classifier(slow.backbone(torch.cat([batch.view["labelled"], batch.view["strong"]])))
    counted, wrong, total = 0, 0, 0.0
    for i in range(12):
        label = int(weak[i].argmax())
        if weak[i].max() >= 0.52:
            counted += 1
            wrong += label != int(batch.hidden_label_B[i])
            total += float(F.cross_entropy(both[6 + i], torch.tensor(label)))
    assert 0 < counted < 12
    expected = float(F.cross_entropy(both[:6], batch.label_B)) + 2 * total / 12
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-4)
    assert float(logs["mask_rate"]) == pytest.approx(counted / 12)
    assert float(logs["impurity"]) == pytest.approx(wrong / counted)


def test_alignment_scales_guesses_to_the_label_shares():
    objective = make(distribution_alignment=True)
    objective.prepare(torch.tensor([0, 0, 0, 1]), 10)
    assert objective.label_share_K.tolist() == [0.75, 0.25]
    p = torch.tensor([[0.9, 0.1], [0.5, 0.5]])
    objective.guess_share_K.copy_(torch.tensor([0.7, 0.3]))
    aligned = objective.align(p)
    assert torch.allclose(objective.guess_share_K, torch.tensor([0.7, 0.3]))
    ratio = torch.tensor([0.75 / 0.7, 0.25 / 0.3])
    assert torch.allclose(aligned, p * ratio / (p * ratio).sum(1, keepdim=True))
    for _ in range(200):
        objective.align(torch.tensor([[0.2, 0.8]]))
    assert torch.allclose(objective.guess_share_K, torch.tensor([0.2, 0.8]), atol=1e-3)


def test_after_training_features_are_of_the_network_that_is_evaluated():
    objective = make(ema_momentum=0.9)
    with torch.no_grad():
        for parameter in objective.ema_backbone.parameters():
            parameter.add_(0.1)
    x_BCHW = make_batch().view["labelled"]
    objective.eval()
    before = objective.logits(x_BCHW)
    assert not torch.allclose(objective.classifier(objective(x_BCHW)), before)
    objective.after_training(x_BCHW, None)
    torch.testing.assert_close(objective.classifier(objective(x_BCHW)), before)
    torch.testing.assert_close(objective.logits(x_BCHW), before)


def test_average_is_what_is_evaluated():
    objective = make(ema_momentum=0.5)
    x, _ = make_task(4)
    with torch.no_grad():
        for parameter in objective.classifier.parameters():
            parameter += 1
    before = objective.eval().logits(x)
    objective.after_step(100, 200)
    after = objective.logits(x)
    assert not torch.allclose(before, after)
    plain = make(ema_momentum=0.0).eval()
    assert torch.equal(plain.logits(x), plain.classifier(plain.backbone(x)))


@pytest.mark.parametrize("params", [{"threshold": 1.5}, {"ema_momentum": 1.0}, {"ratio": 0}])
def test_bad_options(params):
    with pytest.raises(InputError, match=next(iter(params))):
        make(**params)
