"""The sliding maximum against PyTorch's, gradients and ties included."""

import pytest
import torch
import torch.nn.functional as F

from equirgz.nn import AntialiasedMaxPool2d
from equirgz.nn.cpu.sliding_max import sliding_max2d
from tests.field_types import trivial


def both(x, window, padding):
    found = []
    for function in (sliding_max2d, lambda x, window, padding: F.max_pool2d(x, window, 1, padding)):
        leaf = x.clone().requires_grad_()
        y = function(leaf, window, padding)
        probe = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=y.dtype)
        (y * probe).sum().backward()
        found.append((y, leaf.grad))
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("window", "padding"), [(1, 0), (2, 0), (2, 1), (3, 1), (3, 0), (4, 0), (5, 2)])
@pytest.mark.parametrize("ties", [False, True])
def test_equal_to_max_pool2d(window, padding, dtype, ties):
    x = torch.randn(3, 4, 9, 12, generator=torch.Generator().manual_seed(0), dtype=dtype)
    if ties:  # three values only, as after a ReLU: the same pixel of equal ones must win
        x = x.round().clamp(-1, 1)
    (y, grad), (expected, expected_grad) = both(x, window, padding)
    assert torch.equal(y, expected)
    torch.testing.assert_close(grad, expected_grad)


def test_chunks_add_nothing(monkeypatch):
    monkeypatch.setattr("equirgz.nn.cpu.sliding_max._CHUNK_BYTES", 3 * 8 * 81)
    x = torch.randn(2, 5, 9, 9, dtype=torch.float64)
    (y, grad), (expected, expected_grad) = both(x, 3, 1)
    assert torch.equal(y, expected)
    torch.testing.assert_close(grad, expected_grad)


@pytest.mark.parametrize("window", [2, 3])
def test_nan_and_infinity(window):
    x = torch.zeros(1, 1, 7, 7)
    x[0, 0, 3, 3] = torch.nan
    y = sliding_max2d(x, window)
    assert torch.equal(y.isnan(), F.max_pool2d(x, window, 1).isnan()) and y.isnan().sum() == window**2
    low = torch.full((1, 1, 5, 5), -torch.inf)
    assert torch.equal(sliding_max2d(low, window, 1), F.max_pool2d(low, window, 1, 1))


def test_layouts_and_small_images():
    x = torch.randn(2, 3, 6, 5)
    expected = F.max_pool2d(x, 3, 1)
    assert torch.equal(sliding_max2d(x.to(memory_format=torch.channels_last), 3), expected)
    assert torch.equal(sliding_max2d(x.transpose(2, 3), 3), expected.transpose(2, 3))
    assert torch.equal(sliding_max2d(x[:, :, :3, :3], 3), F.max_pool2d(x[:, :, :3, :3], 3, 1))
    with pytest.raises(RuntimeError):
        sliding_max2d(x, 7)


def test_an_exported_pool_is_the_ordinary_one():
    pool = AntialiasedMaxPool2d(trivial("C1", 3))
    program = torch.export.export(pool, (torch.zeros(1, 3, 9, 9),))
    assert any("max_pool2d" in str(node.target) for node in program.graph.nodes)
