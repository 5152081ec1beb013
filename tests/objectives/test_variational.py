"""KL terms against closed forms and integrals; the variational objective against its parts."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import laplace, norm
from torch.distributions import Normal, kl_divergence

from equirgz.errors import InputError
from equirgz.objectives import Batch, create_objective
from equirgz.objectives.bayesian.priors import (
    compute_gaussian_kl,
    compute_laplace_kl,
    compute_scale_mixture_kl,
)
from tests.train.toy import make_backbone, make_task

MEAN, STD = torch.tensor([0.0, 0.3, -2.0]).double(), torch.tensor([0.1, 0.5, 0.02]).double()


def integral_kl(prior_log_density) -> float:
    total = 0.0
    for m, s in zip(MEAN.tolist(), STD.tolist(), strict=True):

        def integrand(w, m=m, s=s):
            return norm.pdf(w, m, s) * (norm.logpdf(w, m, s) - prior_log_density(w))

        total += quad(integrand, m - 12 * s, m + 12 * s, points=[m, 0.0], limit=200)[0]
    return total


def test_gaussian_kl():
    expected = kl_divergence(Normal(MEAN, STD), Normal(0.0, 0.7)).sum()
    assert float(compute_gaussian_kl(MEAN, STD, 0.7)) == pytest.approx(float(expected))
    assert float(compute_gaussian_kl(MEAN, STD, 0.7)) == pytest.approx(integral_kl(lambda w: norm.logpdf(w, 0, 0.7)))
    assert float(compute_gaussian_kl(torch.zeros(4), torch.full((4,), 0.2), 0.2)) == pytest.approx(0, abs=1e-6)


def test_laplace_kl():
    scale = 0.7 / math.sqrt(2)
    assert laplace.std(scale=scale) == pytest.approx(0.7)
    expected = integral_kl(lambda w: laplace.logpdf(w, scale=scale))
    assert float(compute_laplace_kl(MEAN, STD, 0.7)) == pytest.approx(expected, rel=1e-6)


def test_scale_mixture_kl_is_unbiased():
    def log_prior(w):
        return np.logaddexp(math.log(0.5) + norm.logpdf(w, 0, 0.7), math.log(0.5) + norm.logpdf(w, 0, 0.07))

    with torch.random.fork_rng():
        torch.manual_seed(0)
        n = 40_000
        estimate = compute_scale_mixture_kl(MEAN.repeat(n), STD.repeat(n), 0.7) / n
    assert float(estimate) == pytest.approx(integral_kl(log_prior), rel=0.01)


def make(**params):
    objective = create_objective("variational", make_backbone(), 2, init_seed=0, **params)
    objective.prepare(torch.zeros(24), 0)
    return objective


@pytest.mark.parametrize("prior", ["gaussian", "laplace", "scale_mixture"])
def test_loss_is_fit_plus_scaled_kl(prior):
    x, y = make_task(8)
    objective = make(prior=prior, temperature=0.3)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        loss, logs = objective.training_step(Batch({"labelled": x}, y), 0, 1)
        torch.manual_seed(1)
        weights = objective.draw_weights()
        fit = torch.nn.functional.cross_entropy(objective.logits_at(weights, x), y)
        kl = objective.compute_kl() / 24
    assert float(logs["fit"]) == pytest.approx(float(fit.detach()), rel=1e-4)
    assert float(logs["kl"]) == pytest.approx(float(kl.detach()), rel=1e-4)
    assert float(loss.detach()) == pytest.approx(float((fit + 0.3 * kl).detach()), rel=1e-4)


def test_all_weights_but_norms_carry_noise_and_none_of_it_decays():
    objective = make()
    names = {n for n, _ in objective.named_parameters() if not n.startswith("rho.")}
    assert names - set(objective.noisy) == {"backbone.stem.1.weight", "backbone.stem.1.bias"}
    assert set(objective.noisy) <= objective.no_weight_decay


def test_vanishing_posterior_is_the_plain_network():
    x, _ = make_task(4)
    objective = make(initial_std=1e-12).eval()
    samples = objective.sample_logits(x, 3, torch.Generator().manual_seed(0))
    assert torch.allclose(samples, objective.logits(x).expand(3, -1, -1), atol=1e-5)


def test_samples_follow_the_posterior_and_the_generator():
    x, _ = make_task(4)
    objective = make(initial_std=1.0).eval()
    with torch.no_grad():
        a, b, c = (objective.sample_logits(x, 5, torch.Generator().manual_seed(s)) for s in (0, 0, 1))
        draws = [objective.draw_weights()["classifier.weight"] for _ in range(3000)]
    assert torch.equal(a, b) and not torch.equal(a, c) and a.std(0).min() > 0
    draws = torch.stack(draws)
    assert torch.allclose(draws.mean(0), objective.classifier.weight, atol=0.03)
    assert torch.allclose(draws.std(0), objective.std()["classifier.weight"], rtol=0.1)


def test_local_reparametrisation_has_the_law_of_weight_noise():
    x, _ = make_task(3)
    objective = make(initial_std=0.5, local_reparametrisation=True).eval()
    skip = objective._linear_names()
    assert skip == {"classifier.weight", "classifier.bias"}
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        h = objective.backbone(x)
        with objective._noisy_outputs():
            local = torch.stack([objective.classifier(h) for _ in range(4000)])
        by_weight = torch.stack(
            [
                torch.nn.functional.linear(h, w["classifier.weight"], w["classifier.bias"])
                for w in (objective.draw_weights() for _ in range(4000))
            ]
        )
    assert torch.allclose(local.mean(0), by_weight.mean(0), atol=0.05)
    assert torch.allclose(local.std(0), by_weight.std(0), rtol=0.1)
    assert torch.equal(objective.classifier(h), objective.classifier(h))


def test_gradients_reach_means_and_spreads():
    x, y = make_task(8)
    for local in (False, True):
        objective = make(local_reparametrisation=local)
        objective.training_step(Batch({"labelled": x}, y), 0, 1)[0].backward()
        assert all(p.grad is not None and p.grad.any() for p in objective.rho.parameters())
        assert all(p.grad is not None for p in objective.parameters())


def test_steerable_weights_stay_equivariant_in_every_draw():
    from equirgz.backbones import create_backbone

    backbone = create_backbone("steerable_lenet", group="D4", image_size=17, fields=(2, 3))
    objective = create_objective("variational", backbone, 2, init_seed=0, initial_std=1.0).eval()
    x = torch.rand(2, 1, 17, 17, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain, turned, flipped = (
            objective.sample_logits(view, 3, torch.Generator().manual_seed(1))
            for view in (x, torch.rot90(x, 1, (-2, -1)), x.flip(-1))
        )
    assert plain.std(0).max() > 0.01
    assert torch.allclose(plain, turned, atol=1e-5) and torch.allclose(plain, flipped, atol=1e-5)


def test_deepcopy_and_bad_options():
    objective = make()
    assert copy.deepcopy(objective).state_dict().keys() == objective.state_dict().keys()
    for params, words in (
        ({"prior": "cauchy"}, "Valid: gaussian, laplace"),
        ({"prior_std": 0.0}, "prior_std"),
        ({"temperature": -1.0}, "temperature"),
    ):
        with pytest.raises(InputError, match=words):
            make(**params)
    with pytest.raises(InputError, match="prepare"):
        x, y = make_task(8)
        create_objective("variational", make_backbone(), 2).training_step(Batch({"labelled": x}, y), 0, 1)
