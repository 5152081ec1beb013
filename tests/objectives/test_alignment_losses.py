"""Distances between samples: closed forms, a slow Sinkhorn in numpy, brute force MMD."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from equirgz.metrics.distance.mmd import squared_mmd
from equirgz.metrics.distance.sinkhorn import sinkhorn_divergence
from equirgz.objectives.adaptation.alignment_losses import (
    compute_dynamic_blur,
    compute_mmd_loss,
    compute_sinkhorn_loss,
)

pytestmark = pytest.mark.rounding


def draw(n: int, f: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(n, f, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def slow_entropic_cost(x: np.ndarray, y: np.ndarray, blur: float) -> float:
    """Dual value of entropic OT with cost |x - y|^2 / 2, by 600 plain Sinkhorn updates in log domain."""
    cost = 0.5 * ((x[:, None] - y[None]) ** 2).sum(-1)
    epsilon, n, m = blur**2, len(x), len(y)
    f, g = np.zeros(n), np.zeros(m)
    for _ in range(600):
        f = -epsilon * (logsumexp((g[None] - cost) / epsilon, axis=1) - np.log(m))
        g = -epsilon * (logsumexp((f[:, None] - cost) / epsilon, axis=0) - np.log(n))
    return f.mean() + g.mean()


def test_sinkhorn_equals_slow_reference():
    x, y, blur = draw(7, 2, 0), draw(9, 2, 1, shift=0.8), 0.5
    a, b = x.numpy(), y.numpy()
    slow = slow_entropic_cost(a, b, blur) - 0.5 * slow_entropic_cost(a, a, blur) - 0.5 * slow_entropic_cost(b, b, blur)
    assert float(compute_sinkhorn_loss(x, y, blur, scaling=0.99)) == pytest.approx(slow, rel=2e-2)


@given(seed=st.integers(0, 99), shift=st.floats(0, 2), blur=st.floats(0.2, 1.5))
@settings(max_examples=5, deadline=None)
def test_the_losses_are_the_metrics(seed, shift, blur):
    x, y = draw(6, 3, seed), draw(9, 3, seed + 100, shift=shift)
    found = float(compute_sinkhorn_loss(x, y, blur, scaling=0.98))
    assert found == pytest.approx(sinkhorn_divergence(x.numpy(), y.numpy(), blur), rel=3e-2, abs=1e-3)
    width = blur + 0.5
    scale = float(torch.pdist(torch.cat([x, y])).square().mean())
    off = squared_mmd(x.numpy(), y.numpy(), width)
    inside = [float(torch.exp(-torch.pdist(z).square() / (2 * width**2)).mean()) for z in (x, y)]
    itself = sum((1 - mean) / len(z) for mean, z in zip(inside, (x, y), strict=True))
    assert float(compute_mmd_loss(x, y, (2 * width**2 / scale,))) == pytest.approx(off + itself, rel=1e-9, abs=1e-12)


def test_sinkhorn_of_equal_samples_is_zero():
    x = draw(12, 5, 0)
    assert float(compute_sinkhorn_loss(x, x.clone(), 0.1)) == pytest.approx(0, abs=1e-9)
    assert float(compute_sinkhorn_loss(x, x.flip(0), 0.1)) == pytest.approx(0, abs=1e-6)


def test_sinkhorn_of_two_diracs_is_their_distance():
    x, y = torch.tensor([[0.0, 0.0]]).double(), torch.tensor([[3.0, 4.0]]).double()
    assert float(compute_sinkhorn_loss(x, y, 0.05, p=1)) == pytest.approx(5, rel=1e-3)
    assert float(compute_sinkhorn_loss(x, y, 0.05, p=2)) == pytest.approx(12.5, rel=1e-6)


def test_sinkhorn_of_a_shifted_sample_is_half_the_squared_shift():
    x = draw(20, 3, 0)
    assert float(compute_sinkhorn_loss(x, x + 0.7, 0.05, scaling=0.95)) == pytest.approx(0.5 * 3 * 0.7**2, rel=1e-2)


def test_sinkhorn_leaves_gradient_mode_alone_and_passes_nan_on():
    x = draw(5, 2, 0).requires_grad_()
    with torch.no_grad():
        assert not compute_sinkhorn_loss(x, x + 1, 0.1).requires_grad
        assert not torch.is_grad_enabled()
    assert compute_sinkhorn_loss(x, x.detach() + 1, 0.1).requires_grad
    assert torch.isnan(compute_sinkhorn_loss(x.detach() * float("nan"), x.detach(), 0.1))


def test_dynamic_blur():
    x, y = torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 3.0], [4.0, 4.0]])
    assert compute_dynamic_blur(x, y) == pytest.approx(0.05 * 32**0.5)
    assert compute_dynamic_blur(x, x * 1e-3) == pytest.approx(0.05)
    assert compute_dynamic_blur(x * 0, x * 0) == 0.01


def test_mmd_equals_brute_force():
    x, y = draw(4, 3, 0), draw(6, 3, 1, shift=1.0)
    z = torch.cat([x, y]).numpy()
    squares = [float(((z[i] - z[j]) ** 2).sum()) for i in range(10) for j in range(10) if i != j]
    scale = np.mean(squares)

    def kernel(a, b):
        return np.mean([np.exp(-float(((a - b) ** 2).sum()) / (f * scale)) for f in (0.25, 0.5, 1, 2, 4)])

    def mean(p, q):
        return np.mean([[kernel(a, b) for b in q] for a in p])

    slow = mean(z[:4], z[:4]) + mean(z[4:], z[4:]) - 2 * mean(z[:4], z[4:])
    assert float(compute_mmd_loss(x, y)) == pytest.approx(slow)
    assert float(compute_mmd_loss(x, x.flip(0))) == pytest.approx(0, abs=1e-12)
    assert float(compute_mmd_loss(x * 0, x * 0)) == 0.0


@pytest.mark.parametrize("distance", [compute_mmd_loss, lambda x, y: compute_sinkhorn_loss(x, y, 0.3)])
def test_gradient_descends(distance):
    x, y = draw(8, 2, 0).requires_grad_(), draw(8, 2, 1, shift=2.0)
    before = distance(x, y)
    before.backward()
    moved = x.detach() - 0.1 * x.grad / x.grad.norm()
    assert float(distance(moved, y).detach()) < float(before.detach())


def test_dynamic_blur_of_nan_is_the_floor():
    assert compute_dynamic_blur(torch.full((3, 2), float("nan")), torch.zeros(3, 2)) == 0.01
