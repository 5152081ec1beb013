"""Laplace against autograd's Hessian, MC dropout and temperatures against their definitions."""

from __future__ import annotations

import math

import pytest
import torch

from equirgz.errors import InputError
from equirgz.metrics.calibration.temperature_scaling import fit_temperature
from equirgz.objectives import create_objective
from equirgz.objectives.bayesian.laplace import choose_precision
from equirgz.objectives.scaled_objective import TemperatureScaled
from tests.train.toy import make_backbone, make_task


def test_laplace_covariance_is_the_inverse_hessian():
    x, y = make_task(10)
    objective = create_objective("laplace", make_backbone(), 2, init_seed=0, precision=0.7).eval()
    objective.after_training(x, y)
    with torch.no_grad():
        h = torch.cat([objective.backbone(x), torch.ones(10, 1)], 1).double()
    weight = torch.cat([objective.classifier.weight, objective.classifier.bias[:, None]], 1).detach().double()

    def negative_log_posterior(flat):
        logits = h @ flat.reshape(weight.shape).T
        return torch.nn.functional.cross_entropy(logits, y, reduction="sum") + 0.35 * flat.square().sum()

    hessian = torch.autograd.functional.hessian(negative_log_posterior, weight.reshape(-1))
    covariance = objective.root_WW.double() @ objective.root_WW.double().T
    assert torch.allclose(covariance, torch.linalg.inv(hessian), atol=1e-4)
    with torch.no_grad():
        draws = objective.sample_logits(x, 6000, torch.Generator().manual_seed(0)).double()
        assert torch.allclose(draws.mean(0), objective.logits(x).double(), atol=0.2)
    jacobian = torch.kron(torch.eye(2).double(), h[3][None])
    expected = jacobian @ torch.linalg.inv(hessian) @ jacobian.T
    assert torch.allclose(torch.cov(draws[:, 3].T), expected, rtol=0.1, atol=0.05)


def test_laplace_chooses_the_precision_of_largest_evidence():
    eigen, weight = torch.tensor([3.0, 0.5, 0.0]).double(), torch.tensor([[1.0, -2.0, 0.5]]).double()

    def evidence(p):
        log_det = sum(math.log(e + p) for e in eigen.tolist())
        return -0.5 * p * 5.25 + 1.5 * math.log(p) - 0.5 * log_det

    found = choose_precision(eigen, weight, 0.0)
    assert evidence(found) >= max(evidence(10 ** (k / 20)) for k in range(-80, 81)) - 1e-12


def test_laplace_that_is_not_fitted_or_too_large():
    x, _ = make_task(4)
    objective = create_objective("laplace", make_backbone(), 2).eval()
    assert torch.allclose(objective.sample_logits(x, 2)[1], objective.logits(x), atol=1e-6)
    with pytest.raises(InputError, match="classifier weights"):
        create_objective("laplace", make_backbone(), 5000)


def test_mc_dropout_samples_drop_and_logits_do_not():
    x, _ = make_task(6)
    objective = create_objective("mc_dropout", make_backbone(), 2, init_seed=0, dropout=0.5).eval()
    with torch.no_grad():
        a, b = (objective.sample_logits(x, 2000, torch.Generator().manual_seed(3)) for _ in range(2))
        assert torch.equal(a, b) and torch.equal(objective.logits(x), objective.logits(x))
        assert torch.allclose(a.mean(0), objective.logits(x), atol=0.05)
        h, linear = objective.backbone(x), objective.classifier[1]
        variance = (h**2) @ (linear.weight**2).T  # Var of h_f d_f w_f with d in {0, 2} is (h w)^2
        assert torch.allclose(a.var(0), variance, rtol=0.2)
    assert not any(part.training for part in objective.modules())


def test_scaled_objective_divides_logits():
    x, _ = make_task(3)
    objective = create_objective("supervised", make_backbone(), 2).eval()
    scaled = TemperatureScaled(objective, 4.0)
    assert torch.allclose(scaled.logits(x) * 4, objective.logits(x))
    assert torch.allclose(scaled.sample_logits(x, 1) * 4, objective.sample_logits(x, 1))
    with pytest.raises(InputError, match="temperature"):
        TemperatureScaled(objective, 0.0)


def test_the_fitted_temperature_lowers_the_nll_of_the_objective():
    x, _ = make_task(40)
    objective = create_objective("supervised", make_backbone(), 2, init_seed=0).eval()
    with torch.no_grad():
        objective.classifier.weight.mul_(30)
        logits = objective.logits(x)
        y = torch.where(torch.arange(40) % 10 < 2, 1 - logits.argmax(1), logits.argmax(1))  # a fifth is wrong
        scaled = TemperatureScaled(objective, fit_temperature(logits.numpy(), y.numpy()).value)
        nll = [float(torch.nn.functional.cross_entropy(z, y)) for z in (logits, scaled.logits(x))]
    assert nll[1] < nll[0]
