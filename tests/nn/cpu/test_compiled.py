"""The factored convolution with the compiled kernels and without: equal to the expanded one, and never in the way."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from equirgz import kernels
from equirgz.kernels import VARIANTS, load_kernels
from equirgz.nn import GroupConv2d
from equirgz.nn.cpu import slabs
from tests.field_types import regular
from tests.kernel_library import build

LIMIT = {torch.float32: 1e-5, torch.float64: 1e-9}
FEW = settings(max_examples=25, deadline=None, derandomize=True)


@st.composite
def cases(draw):
    """A layer, an input that it accepts, and whether the weights learn."""
    name = draw(st.sampled_from(["C4", "C6", "C8", "C12", "D4", "D6", "D8", "D16"]))
    kernel = draw(st.sampled_from([3, 5, 7]))
    padding, stride = draw(st.integers(0, kernel // 2 + 1)), draw(st.sampled_from([1, 1, 2]))
    fields = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    size = [max(kernel - 2 * padding, 1) + draw(st.integers(0, 20)) for _ in range(2)]
    batch = draw(st.integers(1, 3))
    torch.manual_seed(draw(st.integers(0, 9)))
    types = regular(name, fields[0]), regular(name, fields[1])
    conv = GroupConv2d(*types, kernel, padding=padding, stride=stride, bias=draw(st.booleans()))
    return conv, torch.randn(batch, conv.in_channels, *size, dtype=torch.float64), draw(st.booleans())


def outputs(conv, x, learns, path, dtype):
    conv = conv.to(dtype)
    conv.path = path
    conv.weight.requires_grad_(learns)
    leaf = x.to(dtype).requires_grad_()
    y = conv(leaf)
    probe = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    wanted = [leaf, *(p for p in conv.parameters() if p.requires_grad)]
    return [y.detach(), *torch.autograd.grad((y * probe).sum(), wanted)]


def assert_equal_to_dense(case, dtype):
    conv, x, learns = case
    conv.double()
    exact = outputs(conv, x, learns, "dense", torch.float64)
    if dtype == torch.float32:  # the same weights, rounded, in both
        conv.float()
        exact = outputs(conv, x.float(), learns, "dense", torch.float64)
    for value, expected in zip(outputs(conv, x, learns, "fourier", dtype), exact, strict=True):
        assert float((value.double() - expected).norm()) <= LIMIT[dtype] * float(expected.norm()) + 1e-12


@pytest.mark.parametrize("dtype", LIMIT, ids=str)
def test_torch_equals_the_expanded_convolution(dtype, without):
    assert load_kernels() is None
    FEW(given(cases())(lambda case: assert_equal_to_dense(case, dtype)))()


@pytest.mark.parametrize("variant", range(len(VARIANTS)), ids=VARIANTS)
def test_kernels_equal_the_expanded_convolution(variant, loaded, monkeypatch):
    if variant > loaded.variant:
        pytest.skip(f"this processor has no {VARIANTS[variant]}")
    monkeypatch.setattr(loaded, "variant", variant)
    monkeypatch.setattr(slabs, "_SLAB_BYTES", 2**16)  # several slabs of these small images
    calls = []
    run = kernels.Kernels.run
    monkeypatch.setattr(kernels.Kernels, "run", lambda self, *a: calls.append(1) or run(self, *a))
    FEW(given(cases())(lambda case: assert_equal_to_dense(case, torch.float32)))()
    assert len(calls) > 50
    assert str(loaded) == f"compiled, {VARIANTS[variant]}"


def test_calls_repeat_exactly_and_nan_stays_in_its_window(loaded):
    conv = GroupConv2d(regular("D8", 1), regular("D8", 1), 5)
    conv.path = "fourier"
    x = torch.randn(2, 16, 40, 33)
    assert torch.equal(conv(x), conv(x))
    x = torch.zeros(2, 16, 11, 11)
    x[0, 3, 5, 5] = torch.nan
    y = conv(x)
    assert y[0, :, 3:8, 3:8].isnan().all() and y.isnan().sum() == 16 * 25


def test_a_machine_without_a_compiler_installs_and_computes(tmp_path, without):
    assert build(tmp_path, CC="/nowhere/cc") == []
    conv = GroupConv2d(regular("C4", 1), regular("C4", 1), 3)
    conv.path = "fourier"
    assert conv(torch.zeros(1, 4, 5, 5)).shape == (1, 4, 5, 5)


def test_a_library_of_another_kind_is_left_out_with_one_line(tmp_path, monkeypatch, caplog, library):
    (tmp_path / "_kernels.so").write_bytes(b"no library")
    for path, version, words in (
        (tmp_path / "_kernels.so", kernels.VERSION, "was left out, torch does its work"),
        (tmp_path / "missing.so", kernels.VERSION, "was left out, torch does its work"),
        (library, kernels.VERSION + 1, f"expected version {kernels.VERSION + 1}, got {kernels.VERSION}"),
    ):
        monkeypatch.setenv("EQUIRGZ_KERNELS", str(path))
        monkeypatch.setattr(kernels, "VERSION", version)
        caplog.clear()
        load_kernels.cache_clear()
        assert load_kernels() is None
        assert len(caplog.records) == 1 and words in caplog.text and len(caplog.messages[0].splitlines()) == 1
    load_kernels.cache_clear()
