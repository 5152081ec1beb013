"""The Gaussian-process head against the kernel, Laplace by brute force, and what it promises of distance."""

from __future__ import annotations

import math

import pytest
import torch

from equirgz.backbones import create_backbone
from equirgz.config import OptimizerConfig, TrainConfig
from equirgz.errors import InputError
from equirgz.objectives import create_objective
from equirgz.objectives.bayesian.sngp import DistanceMap, GaussianProcessClassifier
from equirgz.train import TrainImages, train
from tests.train.toy import make_backbone, make_task


def make_head(n_features=3, n_random=20, precision=0.7, seed=0, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        settings = {"length": 1.0, "bound": 0.9, **options}
        return GaussianProcessClassifier(n_features, 2, n_random, precision=precision, **settings).double().eval()


def draw(n, n_features=3, seed=1):
    return torch.randn(n, n_features, generator=torch.Generator().manual_seed(seed)).double()


def test_covariances_are_laplaces_of_bayesian_logistic_regression():
    """The block of each class of the Hessian of the negative log posterior, by autograd, inverted."""
    head, h_NF, label_N = make_head(), draw(15), torch.arange(15) % 2
    head.fit(h_NF)
    with torch.no_grad():
        phi_NM = head.random_features(h_NF)

    def negative_log_posterior(flat):
        weight_KM = flat.reshape(2, 20)
        loss = torch.nn.functional.cross_entropy(phi_NM @ weight_KM.T, label_N, reduction="sum")
        return loss + 0.35 * weight_KM.square().sum()

    hessian = torch.autograd.functional.hessian(negative_log_posterior, head.weight.detach().reshape(-1))
    for k in range(2):
        block = slice(20 * k, 20 * (k + 1))
        torch.testing.assert_close(head.covariance_KMM[k], torch.linalg.inv(hessian[block, block]))
    variance_NK = torch.stack([(phi_NM @ head.covariance_KMM[k] * phi_NM).sum(1) for k in range(2)], 1)
    with torch.no_grad():
        torch.testing.assert_close(head.variance(h_NF), variance_NK)
        expected = (phi_NM @ head.weight.T) / (1 + math.pi / 8 * variance_NK).sqrt()
        torch.testing.assert_close(head(h_NF), expected)
        torch.testing.assert_close(head.train()(h_NF[:1].repeat(2, 1)).shape, torch.Size([2, 2]))


def test_random_features_are_those_of_the_gaussian_kernel():
    head, h_NF = make_head(n_random=20_000), draw(6)
    with torch.no_grad():
        phi_NM, z_NF = head.random_features(h_NF), head.map(h_NF)
    kernel_NN = torch.exp(-(torch.cdist(z_NF, z_NF) ** 2) / (2 * 3))  # length 1 in units of sqrt(F)
    assert torch.allclose(phi_NM @ phi_NM.T, kernel_NN, atol=0.05)


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_the_map_keeps_distances_between_its_bounds(scale):
    layer = DistanceMap(5, 0.8).double().eval()
    with torch.no_grad():
        layer.linear.weight.mul_(scale)
        h_NF = draw(30, 5)
        largest = torch.linalg.matrix_norm(layer.weight(), 2)
        ratio = torch.pdist(layer(h_NF)) / torch.pdist(layer.standardise(h_NF))
    assert largest <= 0.8 + 1e-9 and (ratio >= 0.2 - 1e-9).all() and (ratio <= 1.8 + 1e-9).all()
    small = scale == 0.01
    assert torch.equal(layer.weight(), layer.linear.weight) == small, "a small weight is left as it is"


def test_far_from_the_sources_variance_rises_to_the_priors_and_answers_level():
    head, h_NF = make_head(n_random=400, precision=0.5), draw(60)
    head.fit(h_NF)
    away = torch.tensor([1.0, 1.0, 1.0]).double() / math.sqrt(3)
    with torch.no_grad():
        near, some, far = (head.variance(away[None] * r).mean() for r in (0.0, 4.0, 40.0))
        prior = head.random_features(away[None] * 40).square().sum() / 0.5
        assert near < 0.5 * some and some < far and far == pytest.approx(float(prior), rel=0.1)
        raw = head.random_features(h_NF) @ head.weight.T
        assert (head(h_NF).abs() < raw.abs()).all(), "doubt only lowers a logit"


def test_more_sources_leave_less_doubt():
    h_NF, few, many = draw(80), make_head(), make_head()
    few.fit(h_NF[:20])
    many.fit(h_NF)
    with torch.no_grad():
        assert (many.variance(h_NF) < few.variance(h_NF)).all()


def test_turned_and_mirrored_sources_have_the_same_answers_and_doubt():
    backbone = create_backbone("steerable_lenet", group="D4", image_size=17, width=0.3)
    objective = create_objective("sngp", backbone, 2, init_seed=0, n_random=32).double().eval()
    x = torch.rand(5, 1, 17, 17, generator=torch.Generator().manual_seed(0)).double()
    objective.after_training(x, torch.arange(5) % 2)
    with torch.no_grad():
        assert objective.variance(x).min() > 0
        for turned in (x.rot90(1, (2, 3)), x.flip(3)):
            torch.testing.assert_close(objective.logits(turned), objective.logits(x), atol=1e-9, rtol=1e-9)
            torch.testing.assert_close(objective.variance(turned), objective.variance(x), atol=1e-9, rtol=1e-9)


def test_the_prior_is_part_of_the_loss_once_and_its_posterior_is_of_the_last_training():
    x, y = make_task(16)
    objective = create_objective("sngp", make_backbone(), 2, init_seed=0, n_random=16, precision=0.4)
    settings = TrainConfig(steps=3, batch_size=8, augmentation="none", optimizer=OptimizerConfig(lr=0.01))
    row = train(objective, TrainImages(x, y), settings, seed=0, log_every=1).rows[0]
    assert row["loss"] == pytest.approx(row["fit"] + row["prior"])
    start = create_objective("sngp", make_backbone(), 2, init_seed=0, n_random=16)
    expected = 0.5 * 0.4 * float(start.classifier.weight.detach().square().sum()) / 16
    assert row["prior"] == pytest.approx(expected, rel=1e-5)
    assert "classifier.weight" in objective.no_weight_decay
    fitted = objective.classifier.covariance_KMM.clone()
    objective.prepare(y, 0)
    assert fitted.abs().sum() > 0 == objective.classifier.covariance_KMM.abs().sum()
    objective.eval().after_training(x, y)
    torch.testing.assert_close(objective.classifier.covariance_KMM, fitted)


@pytest.mark.parametrize("option, value", [
    ("n_random", 0), ("n_random", 10**6), ("bound", 1.0), ("bound", 0.0), ("precision", 0.0), ("length_scale", -1.0),
])  # fmt: skip
def test_refusals(option, value):
    with pytest.raises(InputError, match=f"^{option}: expected"):
        create_objective("sngp", make_backbone(), 2, **{option: value})
