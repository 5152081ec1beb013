"""LeJEPA's sketch against closed forms, and its loss against its parts."""

from __future__ import annotations

import math

import pytest
import torch

from equirgz import create_backbone
from equirgz.errors import InputError
from equirgz.objectives import create_objective
from equirgz.objectives.selfsupervised.gaussian_sketch import (
    collapsed_statistic,
    compute_epps_pulley,
    compute_sigreg,
)


def _closed_form(s_B: torch.Tensor) -> float:
    """The same integral without quadrature: pairs, points and the Gaussian alone, each a Gaussian integral."""
    n = len(s_B)
    pairs = torch.exp(-((s_B[:, None] - s_B[None]) ** 2) / 2).sum() / n
    points = 2 / math.sqrt(2) * torch.exp(-(s_B**2) / 4).sum()
    return float(math.sqrt(2 * math.pi) * (pairs - points + n / math.sqrt(3)))


@pytest.mark.parametrize("scale", [0.0, 0.3, 1.0, 3.0])
def test_the_statistic_is_its_closed_form(scale: float) -> None:
    s = scale * torch.randn(50, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = compute_epps_pulley(s)
    for column, value in zip(s.T, found, strict=True):
        assert float(value) == pytest.approx(_closed_form(column), rel=1e-3, abs=1e-4)


def test_collapse_costs_most_and_a_gaussian_least() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(256, 16, generator=generator)
    gaussian = float(compute_sigreg(z, 64, seed=0))
    assert float(compute_sigreg(torch.zeros(256, 16), 64, seed=0)) == pytest.approx(collapsed_statistic(256), rel=1e-3)
    lost, correlated, wide = z.clone(), z.clone(), 3 * z
    lost[:, 8:] = 0
    correlated[:, 1:] = correlated[:, :1]
    for worse in (lost, correlated, wide, torch.zeros_like(z)):
        assert float(compute_sigreg(worse, 64, seed=0)) > 2 * gaussian
    # Of N(0, 1) samples E T = sqrt(2 pi) (1 - 1/sqrt(3)), whatever their number: E|phi_n - phi|^2 = (1 - phi^2) / n.
    assert gaussian == pytest.approx(math.sqrt(2 * math.pi) * (1 - 1 / math.sqrt(3)), rel=0.4)


def test_directions_belong_to_the_update_and_the_gradient_spreads_what_collapsed() -> None:
    z = torch.randn(8, 4)
    assert torch.equal(compute_sigreg(z, 16, seed=3), compute_sigreg(z, 16, seed=3))
    assert not torch.equal(compute_sigreg(z, 16, seed=3), compute_sigreg(z, 16, seed=4))
    thin = (0.1 * torch.randn(64, 4, generator=torch.Generator().manual_seed(0))).requires_grad_()
    compute_sigreg(thin, 64, seed=0).backward()
    assert (thin.grad * thin.detach()).sum() < 0, "descent widens what is too thin"


def test_loss_is_the_weighted_sum() -> None:
    backbone = create_backbone("steerable_cnn", group="C4", image_size=17, fields=(2, 4), kernel_sizes=(5, 3))
    objective = create_objective("lejepa", backbone, hidden=8, projection=4, weight=0.25, n_directions=8)
    z1, z2 = torch.randn(2, 6, 4)
    loss, logs = objective.compare(z1, z2)
    middle = (z1 + z2) / 2
    agreement = ((z1 - middle).square().mean() + (z2 - middle).square().mean()) / 2
    assert float(logs["agreement"]) == pytest.approx(float(agreement), rel=1e-5)
    assert float(loss) == pytest.approx(0.75 * float(agreement) + 0.25 * float(logs["gaussian"]), rel=1e-5)
    for params in ({"weight": 0.0}, {"weight": 1.0}, {"n_directions": 0}):
        with pytest.raises(InputError, match=next(iter(params))):
            create_objective("lejepa", backbone, **params)
