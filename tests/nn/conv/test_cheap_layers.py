"""Layers whose cost grows with |G|: pointwise in the irreps, and depthwise with turning filters."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from equirgz.errors import InputError
from equirgz.geometry.action import apply_element_to_fields
from equirgz.geometry.field_type import FieldType
from equirgz.geometry.transform import regular_transform
from equirgz.nn import (
    DepthwiseConv2d,
    GroupConv2d,
    PointwiseConv2d,
    PointwiseMLP,
    make_depthwise_conv,
    make_pointwise_conv,
)
from equirgz.nn.multiply_adds import count_multiply_adds
from tests.equivariance import assert_equivariant

EXACT = {torch.float64: 1e-12}
GROUPS = st.sampled_from(["C2", "C3", "C4", "C8", "D1", "D2", "D3", "D4", "D6", "D8"])


def regular(group, count):
    return FieldType.regular(group, count)


@settings(max_examples=8, deadline=None)
@given(group=GROUPS, fields=st.integers(1, 3), out=st.integers(1, 3))
def test_pointwise_commutes_with_every_element_and_has_as_many_numbers_as_a_group_convolution(group, fields, out):
    torch.manual_seed(0)
    in_type, out_type = regular(group, fields), regular(group, out)
    layer = PointwiseConv2d(in_type, out_type, bias=True).double()
    torch.nn.init.normal_(layer.bias)
    x_BCHW = torch.randn(2, in_type.size, 3, 4, dtype=torch.float64)
    plain = layer.to_plain()
    torch.testing.assert_close(plain(x_BCHW), layer(x_BCHW), rtol=0, atol=1e-12)
    bank_CC = plain.weight.detach()[:, :, 0, 0]
    for g in range(in_type.group.order):
        before, after = (torch.from_numpy(t.matrix_CC(g)) for t in (in_type, out_type))
        torch.testing.assert_close(bank_CC @ before, after @ bank_CC, rtol=0, atol=1e-12)
    assert sum(p.numel() for p in layer.parameters()) == out * (1 + fields * in_type.group.order)
    assert_equivariant(layer, size=3, dtypes=(torch.float64,), tolerance=EXACT)


@pytest.mark.parametrize("group", ["C4", "D3", "D4"])
def test_pointwise_reaches_every_group_convolution_of_one_pixel(group):
    """Every 1x1 group convolution is a pointwise layer: its matrix is its projection to the blocks."""
    torch.manual_seed(0)
    in_type = regular(group, 2)
    conv = GroupConv2d(in_type, in_type, 1).double()
    layer = PointwiseConv2d(in_type, in_type).double()
    x_BCHW = torch.randn(64, in_type.size, 1, 1, dtype=torch.float64)
    basis = []
    for parameter in (layer.weight_lines, layer.weight_planes):
        for i in range(parameter.numel()):
            with torch.no_grad():
                for p in layer.parameters():
                    p.zero_()
                parameter.view(-1)[i] = 1.0
                basis.append(layer(x_BCHW).flatten())
    matrix, target = torch.stack(basis, 1), conv(x_BCHW).detach().flatten()
    solution = torch.linalg.lstsq(matrix, target).solution
    torch.testing.assert_close(matrix @ solution, target, rtol=0, atol=1e-10)


def test_variance_is_kept_and_the_cost_is_counted():
    torch.manual_seed(0)
    in_type, out_type = regular("D4", 40), regular("D4", 60)
    layer = PointwiseConv2d(in_type, out_type)
    x_BCHW = torch.randn(1, in_type.size, 9, 9)
    y_BCHW = layer(x_BCHW).detach()
    assert 0.9 < float(y_BCHW.var()) < 1.1
    blocks, bases = 12 * 40 * 60, 64 * 100
    assert count_multiply_adds(layer, x_BCHW, y_BCHW) == 81 * (blocks + bases)
    x_GFT, y_GOT = torch.zeros(8, 40, 81), torch.zeros(8, 60, 81)
    assert count_multiply_adds(layer, x_GFT, y_GOT) == 81 * (blocks + bases)
    dense = GroupConv2d(in_type, out_type, 1)
    assert blocks * 81 == count_multiply_adds(dense, x_BCHW, y_BCHW) * regular_transform(layer.group).products / 64


@settings(max_examples=6, deadline=None)
@given(group=GROUPS, fields=st.integers(1, 2), kernel=st.sampled_from([3, 5, 7]), stride=st.sampled_from([1, 2]))
def test_depthwise_is_the_group_convolution_without_mixing(group, fields, kernel, stride):
    torch.manual_seed(0)
    in_type = regular(group, fields)
    layer = DepthwiseConv2d(in_type, kernel, stride=stride, bias=True).double()
    torch.nn.init.normal_(layer.bias)
    whole = GroupConv2d(in_type, in_type, kernel, stride=stride, bias=True).double()
    with torch.no_grad():
        whole.bias.copy_(layer.bias)
        whole.weight.zero_()
        for f in range(fields):
            whole.weight[f, f, 0] = layer.weight[f]  # element 0 is the identity
    x_BCHW = torch.randn(2, in_type.size, 9, 9, dtype=torch.float64)
    torch.testing.assert_close(layer(x_BCHW), whole(x_BCHW), rtol=0, atol=1e-12)
    torch.testing.assert_close(layer.to_plain()(x_BCHW), layer(x_BCHW), rtol=0, atol=1e-12)
    assert_equivariant(layer, size=9, dtypes=(torch.float64,), tolerance=EXACT)
    assert layer.multiply_adds(9, 9) == whole.multiply_adds(9, 9) // in_type.size


@pytest.mark.parametrize("make", [lambda t: PointwiseMLP(t, 5), lambda t: make_depthwise_conv(t, 3)])
def test_c1_and_trivial_fields_have_ordinary_layers(make):
    layer = make(FieldType.trivial("C1", 3))
    assert {type(m).__module__.split(".")[0] for m in layer.modules() if not list(m.children())} == {"torch"}
    assert layer.in_type == layer.out_type == FieldType.trivial("C1", 3)


def test_an_mlp_of_any_kind_commutes_and_has_a_plain_twin():
    torch.manual_seed(0)
    for fields in ("3 regular", "3 trivial"):
        mlp = PointwiseMLP(FieldType("D4", fields), 5).double()
        assert_equivariant(mlp, size=3, dtypes=(torch.float64,), tolerance=EXACT)
        x_BCHW = torch.randn(2, mlp.in_type.size, 3, 3, dtype=torch.float64)
        for g in (1, 5):
            moved = apply_element_to_fields(x_BCHW, mlp.in_type, g)
            expected = apply_element_to_fields(mlp(x_BCHW), mlp.in_type, g)
            torch.testing.assert_close(mlp(moved), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PointwiseConv2d(FieldType("D4", "2 vector"), regular("D4", 1)), "input: expected all regular fields"),
        (lambda: PointwiseConv2d(regular("D4", 1), regular("C4", 1)), "use one group"),
        (lambda: PointwiseConv2d(regular("D4", 1), regular("D4", 1))(torch.zeros(1, 4, 3, 3)), r"\(B, 8, H, W\), got"),
        (lambda: make_pointwise_conv(FieldType.trivial("D4", 2), regular("D4", 1)), "output: expected all trivial"),
        (lambda: DepthwiseConv2d(FieldType.trivial("D4", 2), 3), "input: expected all regular fields"),
        (lambda: DepthwiseConv2d(regular("C64", 1), 3), "group C64 with 3x3 filters: expected .*; use kernel_size=5"),
        (lambda: DepthwiseConv2d(regular("D4", 1), 4), "kernel_size: expected an odd number"),
    ],
)
def test_bad_input_gets_one_line(call, message):
    with pytest.raises(InputError, match=message) as refused:
        call()
    assert "\n" not in str(refused.value)
