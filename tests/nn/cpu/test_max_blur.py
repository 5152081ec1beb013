"""ReLU, maximum and blur in one pass: those of the three operators, forwards and backwards, in every build."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from equirgz import kernels as library_module
from equirgz.kernels import VARIANTS, load_kernels
from equirgz.nn import AntialiasedMaxPool2d
from equirgz.nn.direct_sum import FieldSequential
from tests.field_types import trivial

FEW = settings(max_examples=30, deadline=None, derandomize=True)


@st.composite
def cases(draw):
    """A pooling, maps with many ties, and whether a ReLU stands before it."""
    window, stride = draw(st.sampled_from([2, 3])), draw(st.integers(1, 3))
    sigma = draw(st.sampled_from([0.0, 0.6, 1.1]))
    size = [draw(st.integers(window, 20)) for _ in range(2)]
    torch.manual_seed(draw(st.integers(0, 9)))
    x = torch.randn(draw(st.integers(1, 2)), 3, *size)
    x = x.round() if draw(st.booleans()) else x
    return AntialiasedMaxPool2d(trivial("C1", 3), window, sigma, stride), x, draw(st.booleans())


def pooled(pool, x, rectify):
    leaf = x.clone().requires_grad_()
    y = pool(leaf, rectify=rectify)
    probe = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).to(y.dtype)
    return y.detach(), torch.autograd.grad((y * probe).sum(), leaf)[0]


def expected(pool, x, rectify):
    """The same by torch's own operators in float64."""
    leaf = x.double().requires_grad_()
    y = F.max_pool2d(torch.relu(leaf) if rectify else leaf, pool.window, 1, pool.window_padding)
    kernel = pool.exact_kernel().expand(3, 1, -1, -1)
    y = F.conv2d(y, kernel, stride=pool.stride, padding=pool.padding, groups=3)
    probe = torch.randn(y.shape, generator=torch.Generator().manual_seed(1)).double()
    return y.detach(), torch.autograd.grad((y * probe).sum(), leaf)[0]


def assert_equal(case):
    for value, exact in zip(pooled(*case), expected(*case), strict=True):
        torch.testing.assert_close(value.double(), exact, rtol=0, atol=3e-6)


def test_torch_equals_the_operators(without):
    assert load_kernels() is None
    FEW(given(cases())(assert_equal))()


@pytest.mark.parametrize("variant", range(len(VARIANTS)), ids=VARIANTS)
def test_kernels_equal_the_operators(variant, loaded, monkeypatch):
    if variant > loaded.variant:
        pytest.skip(f"this processor has no {VARIANTS[variant]}")
    monkeypatch.setattr(loaded, "variant", variant)
    calls = []
    run = library_module.Kernels.run
    monkeypatch.setattr(library_module.Kernels, "run", lambda self, name, *a: calls.append(name) or run(self, name, *a))
    FEW(given(cases())(assert_equal))()
    assert calls.count("max_blur") > 20 and calls.count("max_blur_back") > 20


def test_nan_spreads_over_its_window_and_threads_change_nothing(loaded):
    pool = AntialiasedMaxPool2d(trivial("C1", 40), 3)
    x = torch.randn(3, 40, 21, 17)
    whole = pool(x)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert torch.equal(pool(x), whole)
    finally:
        torch.set_num_threads(threads)
    x[0, 0, 10, 8] = torch.nan
    hurt = pool(x)
    assert torch.equal(hurt.isnan(), pool.blur(F.max_pool2d(x, 3, 1, 1)).isnan()) and hurt.isnan().any()


@pytest.mark.parametrize("kernels", ["off", "on"])
def test_a_relu_before_it_joins_unless_somebody_watches(kernels, library, monkeypatch):
    monkeypatch.setenv("EQUIRGZ_KERNELS", "off" if kernels == "off" else str(library))
    load_kernels.cache_clear()
    relu, pool = nn.ReLU(), AntialiasedMaxPool2d(trivial("C1", 2), 3)
    net, x = FieldSequential(relu, pool), torch.randn(2, 2, 9, 9)
    y = net(x)
    torch.testing.assert_close(y, pool(torch.relu(x)), rtol=0, atol=1e-6)
    seen = []
    handle = relu.register_forward_hook(lambda module, taken, given: seen.append(given))
    torch.testing.assert_close(net(x), y, rtol=0, atol=1e-6)
    assert len(seen) == 1 and torch.equal(seen[0], torch.relu(x))
    handle.remove()
    double = net.double()(x.double())
    torch.testing.assert_close(double, y.double(), rtol=0, atol=1e-5)
    load_kernels.cache_clear()
