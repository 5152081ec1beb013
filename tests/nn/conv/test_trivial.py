"""Convolution into trivial fields, and the layers kept for reproduction."""

import numpy as np
import pytest
import torch

from equirgz.errors import InputError
from equirgz.geometry.action import apply_element, apply_element_to_maps
from equirgz.geometry.group import get_group
from equirgz.nn.conv.trivial import TrivialConv2d, invariant_functions_KP
from equirgz.nn.filters.basis import FilterBasis
from equirgz.nn.reproduction import PixelFieldDropout, SoftDiskMask
from tests.field_types import regular, trivial


@pytest.mark.parametrize("basis", ["harmonic", "pixel"])
@pytest.mark.parametrize("from_regular", [True, False])
@pytest.mark.parametrize("group", ["C1", "C2", "C4", "D1", "D2", "D4"])
def test_output_only_turns(group, from_regular, basis):
    """y(g x) = g y(x) for every element that keeps the lattice."""
    torch.manual_seed(0)
    symmetry = get_group(group)
    in_type = (regular if from_regular else trivial)(symmetry, 2)
    conv = TrivialConv2d(in_type, trivial(symmetry, 3), 5, stride=2, bias=True, basis=basis).double()
    conv.bias.data.normal_()
    order = symmetry.order if from_regular else 1
    x_BFGHW = torch.randn(2, 2, order, 9, 9, dtype=torch.float64)
    y_BOHW = conv(x_BFGHW.flatten(1, 2))
    assert y_BOHW.shape == (2, 3, 5, 5)
    for g in range(symmetry.order):
        turned = conv(apply_element_to_maps(x_BFGHW, symmetry, g).flatten(1, 2))
        torch.testing.assert_close(turned, apply_element(y_BOHW, symmetry, g), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(conv.to_plain()(x_BFGHW.flatten(1, 2)), y_BOHW)


@pytest.mark.parametrize(("group", "count"), [("C1", 11), ("C2", 7), ("D1", 7), ("D2", 5), ("C4", 3), ("D8", 3)])
def test_number_of_invariant_functions(group, count):
    """5x5 harmonics up to order 2 that a group keeps: one per ring for N > 2, and the aliased ones below."""
    functions_KP = invariant_functions_KP(FilterBasis(5), get_group(group))
    assert len(functions_KP) == count == np.linalg.matrix_rank(functions_KP)


def test_trivial_conv_refuses_other_shapes():
    with pytest.raises(InputError, match=r"expected \(B, 8, H, W\), got \(1, 2, 9, 9\)"):
        TrivialConv2d(regular("C4", 2), trivial("C4", 1), 3)(torch.zeros(1, 2, 9, 9))


def test_casting_to_float64_leaves_no_float32_digits():
    conv = TrivialConv2d(regular("C8", 1), trivial("C8", 1), 5).double()
    np.testing.assert_allclose(conv.turned_GKP.numpy(), conv.basis.turned_GKP(conv.group), atol=1e-15)


def test_soft_mask_is_the_formula():
    """m(r) = exp(-(r^2 - t^2) / 4) outside t = 0.9 * 4 = 3.6 pixels, at r = 4 and r = sqrt(32)."""
    mask = SoftDiskMask(9, margin_percent=10.0)
    row = mask(torch.ones(1, 1, 9, 9))[0, 0]
    assert row[4, 4] == row[4, 1] == 1.0
    assert float(row[4, 0]) == pytest.approx(np.exp(-(16 - 3.6**2) / 4), rel=1e-6)
    assert float(row[0, 0]) == pytest.approx(np.exp(-(32 - 3.6**2) / 4), rel=1e-5)
    with pytest.raises(InputError, match="expected 9 x 9"):
        mask(torch.ones(1, 1, 8, 8))


def test_pixel_field_dropout_shares_its_draw_over_the_group():
    torch.manual_seed(0)
    layer = PixelFieldDropout(regular("C4", 3), 0.25)
    x_BCHW = torch.ones(4, 12, 20, 20)
    y_BFGHW = layer(x_BCHW).unflatten(1, (3, 4))
    assert torch.equal(y_BFGHW, y_BFGHW[:, :, :1].expand_as(y_BFGHW))
    assert y_BFGHW.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert abs(float((y_BFGHW > 0).double().mean()) - 0.75) < 0.03
    assert torch.equal(layer.eval()(x_BCHW), x_BCHW)
    with pytest.raises(InputError, match="0 <= p < 1"):
        PixelFieldDropout(regular("C4", 3), 1.0)
