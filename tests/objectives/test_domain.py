"""Domain adaptation: weights of the parts, reversal of gradients, warm-up."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from equirgz.config import TrainConfig
from equirgz.errors import InputError
from equirgz.objectives import Batch, create_objective
from equirgz.objectives.adaptation.alignment_losses import (
    compute_dynamic_blur,
    compute_mmd_loss,
    compute_sinkhorn_loss,
)
from equirgz.objectives.adaptation.dann import reverse_gradient
from equirgz.train import TrainImages, train
from tests.train.toy import make_backbone, make_task

NAMES = ("sidda", "sinkhorn", "mmd", "dann")


def make(name: str, **params):
    return create_objective(name, make_backbone(), 2, init_seed=0, latent=16, **params)


def make_batch() -> Batch:
    x, y = make_task(8)
    return Batch({"labelled": x, "target": 1.5 * make_task(12, seed=4)[0]}, y)


def slow_parts(objective, batch):
    latent = objective.to_latent(objective.backbone(torch.cat([batch.view["labelled"], batch.view["target"]])))
    return F.cross_entropy(objective.classifier(latent[:8]), batch.label_B), latent[:8], latent[8:]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("collapsed", [True, False])
def test_collapsed_features_are_told_from_classes_well_apart(name, collapsed, caplog):
    x_NCHW, y_N = make_task(24)
    objective = make(name, warmup_share=0.0)
    with torch.no_grad():
        if collapsed:
            for parameter in objective.backbone.parameters():
                parameter.zero_()
    images, config = TrainImages(x_NCHW, y_N, x_NCHW), TrainConfig(steps=51, batch_size=16, augmentation="none")
    log = train(objective, images, config, seed=0)
    assert bool(log.warnings) == collapsed == ("raise warmup_share" in caplog.text)
    assert not collapsed or log.warnings[0].startswith("collapsed representation at step")


def test_sidda_loss_is_the_formula():
    objective, batch = make("sidda", warmup_share=0.0), make_batch()
    with torch.no_grad():
        objective.eta_supervised.fill_(0.5)
        objective.eta_alignment.fill_(2.0)
        loss, logs = objective.training_step(batch, 0, 10)
        supervised, x, y = slow_parts(objective, batch)
        blur = compute_dynamic_blur(x, y)
        distance = compute_sinkhorn_loss(x, y, blur)
    expected = float(supervised) / 0.5 + float(distance) / 8 + math.log(1.0)
    assert float(loss) == pytest.approx(expected, rel=1e-4)
    assert logs["blur"] == pytest.approx(blur, rel=1e-4) and blur > 0.01


def test_sidda_weights_learn_and_keep_their_bounds():
    objective = make("sidda", warmup_share=0.0)
    objective.training_step(make_batch(), 0, 10)[0].backward()
    assert objective.eta_supervised.grad.abs() > 0 and objective.eta_alignment.grad.abs() > 0
    with torch.no_grad():
        objective.eta_supervised.fill_(-3.0)
        objective.eta_alignment.fill_(-3.0)
        objective.after_step(0, 10)
        assert float(objective.eta_supervised) == pytest.approx(1e-3)
        assert float(objective.eta_alignment) == pytest.approx(0.25e-3)
        objective.eta_supervised.fill_(4.0)
        objective.after_step(0, 10)
        assert float(objective.eta_alignment) == pytest.approx(1.0)
    assert objective.no_weight_decay == {"eta_supervised", "eta_alignment"}


@pytest.mark.parametrize(
    "name, distance",
    [
        ("sinkhorn", lambda x, y: compute_sinkhorn_loss(x, y, compute_dynamic_blur(x, y))),
        ("mmd", compute_mmd_loss),
    ],
)
def test_fixed_weights(name, distance):
    objective, batch = make(name, warmup_share=0.0, weight=3.0), make_batch()
    with torch.no_grad():
        loss, _ = objective.training_step(batch, 0, 10)
        supervised, x, y = slow_parts(objective, batch)
    assert float(loss) == pytest.approx(float(supervised + 3 * distance(x, y)), rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_warmup_sees_the_source_alone(name):
    objective, batch = make(name, warmup_share=0.5), make_batch()
    loss, _ = objective.training_step(batch, 4, 10)
    other = Batch({**batch.view, "target": torch.full_like(batch.view["target"], float("nan"))}, batch.label_B)
    again, _ = objective.training_step(other, 4, 10)
    assert torch.equal(loss, again)
    assert not torch.isfinite(objective.training_step(other, 5, 10)[0])


def test_reversal_turns_gradients_round():
    z = torch.ones(3, requires_grad=True)
    (reverse_gradient(z, 0.5) * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert z.grad.tolist() == [-0.5, -1.0, -1.5]
    assert torch.equal(reverse_gradient(z, 0.5), z)


def test_dann_pulls_network_against_and_domain_classifier_along():
    objective = make("dann", warmup_share=0.0)
    latent = torch.randn(12, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss, logs = objective.align(latent[:6], latent[6:], 1.0)
    loss.backward()
    reversed_grad, own = latent.grad.clone(), objective.domain_classifier[0].weight.grad.clone()
    latent.grad = None
    objective.zero_grad()
    target = torch.cat([torch.zeros(6), torch.ones(6)])
    plain = F.binary_cross_entropy_with_logits(objective.domain_classifier(latent)[:, 0], target)
    plain.backward()
    assert float(loss.detach()) == pytest.approx(float(plain.detach()))
    assert torch.allclose(reversed_grad, -logs["reversal"] * latent.grad, atol=1e-7)
    assert torch.allclose(own, objective.domain_classifier[0].weight.grad)
    assert objective.align(latent[:6], latent[6:], 0.0)[1]["reversal"] == 0.0


def test_bad_warmup():
    with pytest.raises(InputError, match="warmup_share"):
        make("sidda", warmup_share=1.0)
