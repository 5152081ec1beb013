"""Self- and semi-supervised losses against slow references and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from equirgz.errors import InputError
from equirgz.objectives.selfsupervised.view_losses import compute_nt_xent, compute_vicreg_terms
from equirgz.objectives.semisupervised.pseudo_labels import compute_fixmatch_loss

pytestmark = pytest.mark.rounding


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("batch", [2, 3, 8])
def test_nt_xent_of_identical_embeddings(batch):
    z = torch.ones(batch, 5, dtype=torch.float64)
    assert float(compute_nt_xent(z, z, 0.1)) == pytest.approx(math.log(2 * batch - 1))


def test_nt_xent_equals_slow_reference():
    z1, z2, temperature = draw(4, 3), draw(4, 3, seed=1), 0.3
    z = np.concatenate([z1.numpy(), z2.numpy()])
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    total = 0.0
    for i in range(8):
        partner = (i + 4) % 8
        others = sum(math.exp(float(z[i] @ z[k]) / temperature) for k in range(8) if k != i)
        total -= math.log(math.exp(float(z[i] @ z[partner]) / temperature) / others)
    assert float(compute_nt_xent(z1, z2, temperature)) == pytest.approx(total / 8)


def test_nt_xent_of_orthogonal_pairs_and_bad_arguments():
    z = torch.eye(4, dtype=torch.float64)
    expected = -math.log(math.exp(2) / (math.exp(2) + 6))
    assert float(compute_nt_xent(z, z, 0.5)) == pytest.approx(expected)
    with pytest.raises(InputError, match="at least 2"):
        compute_nt_xent(z[:1], z[:1])
    with pytest.raises(InputError, match="T > 0"):
        compute_nt_xent(z, z, 0.0)


def test_nt_xent_is_computed_in_full_precision_under_autocast():
    z1, z2 = draw(6, 4).float(), draw(6, 4, seed=1).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = compute_nt_xent(z1, z2)
        half = compute_nt_xent(z1.bfloat16(), z2.bfloat16())
    assert torch.equal(inside, compute_nt_xent(z1, z2)) and half.dtype == torch.float32


def test_vicreg_terms_equal_numpy():
    z1, z2 = 0.5 * draw(7, 3), 0.8 * draw(7, 3, seed=1)
    invariance, variance, covariance = (float(t) for t in compute_vicreg_terms(z1, z2, epsilon=1e-4))
    a, b = z1.numpy(), z2.numpy()
    assert invariance == pytest.approx(((a - b) ** 2).mean())
    std = [np.sqrt(z.var(0, ddof=1) + 1e-4) for z in (a, b)]
    assert variance == pytest.approx(np.mean([np.maximum(0, 1 - s).mean() for s in std]))
    slow = 0.0
    for z in (a, b):
        c = np.cov(z.T)
        slow += sum(c[i, j] ** 2 for i in range(3) for j in range(3) if i != j) / 3
    assert covariance == pytest.approx(slow)


def test_vicreg_of_collapsed_and_of_ideal_projections():
    flat = torch.ones(6, 3, dtype=torch.float64)
    invariance, variance, covariance = (float(t) for t in compute_vicreg_terms(flat, flat, epsilon=1e-4))
    assert (invariance, covariance) == (0.0, 0.0) and variance == pytest.approx(0.99)
    cube = torch.tensor([[s, t] for s in (-2.0, 2.0) for t in (-2.0, 2.0)], dtype=torch.float64)
    assert [float(t) for t in compute_vicreg_terms(cube, cube)] == pytest.approx([0, 0, 0], abs=1e-12)


def test_fixmatch_is_the_masked_mean_over_all():
    p = torch.tensor([[0.97, 0.03], [0.6, 0.4], [0.04, 0.96], [0.95, 0.05]], dtype=torch.float64)
    strong = draw(4, 2)
    loss, mask = compute_fixmatch_loss(strong, p, 0.95)
    assert mask.tolist() == [True, False, True, True]
    slow = 0.0
    for i, label in ((0, 0), (2, 1), (3, 0)):
        slow -= math.log(math.exp(float(strong[i, label])) / sum(math.exp(float(v)) for v in strong[i]))
    assert float(loss) == pytest.approx(slow / 4)
    assert float(compute_fixmatch_loss(strong, p, 1.0)[0]) == 0.0


def test_fixmatch_gradient_reaches_confident_strong_views_only():
    strong = draw(2, 2).requires_grad_()
    weak = draw(2, 2).requires_grad_()
    p = torch.stack([torch.tensor([0.99, 0.01]).double(), torch.tensor([0.5, 0.5]).double()]) + 0 * weak
    compute_fixmatch_loss(strong, p, 0.9)[0].backward()
    assert weak.grad is None or not weak.grad.any()
    assert strong.grad[0].abs().min() > 0 and not strong.grad[1].any()
