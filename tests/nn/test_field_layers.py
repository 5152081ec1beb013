"""Every layer that takes and gives field types: its law in float32 and float64, its twin, its cost, its refusals."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType
from equirgz.nn import (
    AntialiasedAvgPool2d,
    AntialiasedMaxPool2d,
    AttentionGate,
    DirectSum,
    DiskMask,
    FieldBatchNorm2d,
    FieldConv2d,
    FieldDropout,
    FieldLayerNorm2d,
    FieldSequential,
    GroupConv2d,
    GroupPooling,
    GroupSelfAttention,
    LengthBatchNorm2d,
    LengthLayerNorm2d,
    LengthReLU,
    TrivialConv2d,
    make_activation,
    make_conv,
    make_layer_norm,
    make_norm,
    per_kind,
)
from equirgz.nn.filters.basis import FilterBasis
from equirgz.nn.filters.pairs import pair_filters
from equirgz.nn.multiply_adds import count_multiply_adds
from equirgz.nn.reproduction import PixelFieldDropout
from tests.equivariance import assert_equivariant
from tests.field_types import GROUPS, field_types, regular, trivial

EXACT = {torch.float32: 1e-5, torch.float64: 1e-12}
few = settings(max_examples=12, deadline=None)
groups = st.sampled_from(GROUPS)
TWO, POINTS, VECTOR = regular("D4", 2), trivial("D4", 2), FieldType("D4", "vector")


def shaken(layer: nn.Module) -> nn.Module:
    """Give every parameter and statistic a value that no symmetry favours."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in layer.state_dict().values():
            if value.is_floating_point():
                value.add_(0.3 * torch.rand(value.shape, generator=generator))
    return layer


def check(layer: nn.Module, size: int = 9, **types: FieldType) -> None:
    assert_equivariant(shaken(layer), size=size, tolerance=EXACT, batch=1, **types)
    if hasattr(layer, "to_plain"):
        layer = copy.deepcopy(layer).double().eval()
        x_BCHW = torch.randn(2, layer.in_type.size, size, size, dtype=torch.float64)
        torch.testing.assert_close(layer.to_plain().eval()(x_BCHW), layer(x_BCHW))


@few
@given(st.data())
def test_convolutions_between_any_types(data):
    group = data.draw(groups)
    in_type, out_type = data.draw(field_types(group)), data.draw(field_types(group))
    stride, bias = data.draw(st.sampled_from([1, 2])), data.draw(st.booleans())
    basis = FilterBasis(3)
    unreached = [
        target
        for target in out_type.parts
        if not any(len(pair_filters(basis, s.representation, target.representation)) for s in in_type.parts)
    ]
    if unreached:
        with pytest.raises(InputError, match="3x3 filters from .* got none that is equivariant"):
            make_conv(in_type, out_type, 3)
        return
    layer = make_conv(in_type, out_type, 3, stride=stride, bias=bias, basis="harmonic")
    assert layer.in_type == in_type and layer.out_type == out_type
    check(layer)
    x_BCHW = torch.zeros(1, in_type.size, 9, 9)
    y_BCHW = layer(x_BCHW)
    ordinary = layer.to_plain()
    assert layer.multiply_adds(9, 9) == count_multiply_adds(ordinary, x_BCHW, y_BCHW) > 0
    assert count_multiply_adds(layer, x_BCHW, y_BCHW) == layer.multiply_adds(9, 9)


@few
@given(st.data())
def test_pointwise_layers_of_any_type(data):
    in_type = data.draw(groups.flatmap(field_types))
    check(make_norm(in_type))
    check(make_norm(in_type).train())
    check(make_layer_norm(in_type))
    check(LengthLayerNorm2d(in_type))
    check(FieldSequential(make_norm(in_type), make_activation(in_type, data.draw(st.sampled_from(["relu", "gelu"])))))
    check(GroupPooling(in_type, data.draw(st.sampled_from(["max", "mean"]))))
    check(AntialiasedAvgPool2d(in_type))
    check(per_kind(in_type, LengthReLU))


@few
@given(st.data())
def test_layers_of_permuted_channels(data):
    in_type = data.draw(groups.flatmap(lambda group: field_types(group, permuting=True)))
    check(AntialiasedMaxPool2d(in_type))
    check(per_kind(in_type, FieldLayerNorm2d))
    check(FieldSequential(make_norm(in_type), nn.ReLU(), nn.MaxPool2d(3, 2, 1)))


@pytest.mark.parametrize("group", ["C1", "C4", "D2"])
def test_the_remaining_layers(group):
    two = regular(group, 2)
    check(GroupSelfAttention(two, 5, 2), size=5)
    for dropout in (FieldDropout(two, 0.5), PixelFieldDropout(two, 0.5)):
        check(dropout.eval())
    gate = AttentionGate(trivial(group, 2), trivial(group, 3), hidden=4)

    class OneInput(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate, self.in_type, self.out_type = gate, trivial(group, 5), trivial(group, 2)

        def forward(self, x_BCHW):
            return self.gate(x_BCHW[:, :2], x_BCHW[:, 2:, ::2, ::2])[0]

    check(OneInput())
    check(DiskMask(9), in_type=two, out_type=two)


def test_a_layer_that_must_fail_does():
    vector = FieldType("D4", "2 vector")
    for layer in (nn.ReLU(), shaken(nn.BatchNorm2d(4)), nn.Conv2d(4, 4, 3, padding=1)):
        with pytest.raises(AssertionError, match="FAIL float64"):
            assert_equivariant(layer, size=9, in_type=vector, out_type=vector, seed=1)
    conv = FieldConv2d(vector, regular("D4", 1), 3)
    with pytest.raises(AssertionError, match="FAIL float64"):
        assert_equivariant(conv, size=8 + 1, out_type=FieldType("D4", "8 trivial"))
    with pytest.raises(AssertionError, match="FAIL float64"):  # an even size under stride 2
        assert_equivariant(FieldConv2d(vector, vector, 3, stride=2), size=8)


def test_general_filters_span_those_of_the_fast_layers():
    """Regular and trivial fields through the general solution: as many filters, of one span."""
    basis, group = FilterBasis(5), regular("D4", 1).group
    one, point = regular(group, 1).parts[0].representation, trivial(group, 1).parts[0].representation
    pairs = [
        (one, one, GroupConv2d(regular(group, 1), regular(group, 1), 5)),
        (point, one, GroupConv2d(trivial(group, 1), regular(group, 1), 5)),
        (one, point, TrivialConv2d(regular(group, 1), trivial(group, 1), 5)),
        (point, point, TrivialConv2d(trivial(group, 1), trivial(group, 1), 5)),
    ]
    for source, target, layer in pairs:
        filters_NM = torch.from_numpy(pair_filters(basis, source, target)).flatten(1)
        layer.double()
        parameters = layer.weight.numel()
        assert len(filters_NM) == parameters == int(torch.linalg.matrix_rank(filters_NM))
        bank_M = layer.expand().detach().flatten(2).flatten()
        solution = torch.linalg.lstsq(filters_NM.T, bank_M[:, None]).solution
        torch.testing.assert_close(filters_NM.T @ solution, bank_M[:, None], rtol=0, atol=1e-9)


def test_the_number_of_filters_is_that_of_the_characters():
    """dim Hom = mean over g of chi_out chi_in chi_basis: solved filters against the formula."""
    basis = FilterBasis(3)
    for group, kinds in (("D4", "vector irrep(2) irrep(0-) quotient(C2) regular"), ("C6", "vector irrep(2) irrep(3)")):
        types = [FieldType(group, kind) for kind in kinds.split()]
        chi_G = basis.action_GKK(types[0].group).trace(axis1=1, axis2=2)
        for source in (t.parts[0].representation for t in types):
            for target in (t.parts[0].representation for t in types):
                chi_in_G, chi_out_G = (r.matrix_GDD.trace(axis1=1, axis2=2) for r in (source, target))
                expected = round(float((chi_G * chi_in_G * chi_out_G).mean()))
                assert len(pair_filters(basis, source, target)) == expected, (source, target)


def test_activations_keep_their_scale_through_mixed_layers():
    torch.manual_seed(0)
    mixed = FieldType("D4", "4 regular + 4 vector + 4 quotient(C2)")
    x_BCHW = torch.randn(4, mixed.size, 17, 17)
    for _ in range(3):
        x_BCHW = make_conv(mixed, mixed, 3)(x_BCHW) / 2**0.5
    assert 0.2 < x_BCHW.square().mean().item() < 5.0


def test_gradients_reach_every_parameter_of_mixed_layers():
    mixed = FieldType("D4", "regular + vector + 2 trivial")
    layer = FieldSequential(make_conv(mixed, 2 * mixed, 3, bias=True), make_norm(2 * mixed), make_activation(2 * mixed))
    y_BCHW = layer(torch.randn(2, mixed.size, 7, 7))
    (y_BCHW * torch.randn(y_BCHW.shape)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in layer.parameters())


def test_layers_one_after_the_other_must_fit():
    two, three, vector = regular("D4", 2), regular("D4", 3), FieldType("D4", "2 vector")
    with pytest.raises(InputError, match=r"layer 1 \(FieldBatchNorm2d\) .* D4: 2 regular, got D4: 3 regular"):
        FieldSequential(make_conv(two, two, 3), make_norm(three))
    with pytest.raises(InputError, match=r"layer 1 \(ReLU\): expected .* make_activation .* after D4: 2 vector"):
        FieldSequential(make_conv(two, vector, 3), nn.ReLU())
    chain = FieldSequential(make_conv(two, three, 3), nn.ReLU(), make_conv(three, vector, 3), LengthReLU(vector))
    assert (chain.in_type, chain.out_type) == (two, vector)
    assert DirectSum([make_norm(two), make_norm(vector)]).in_type == two + vector


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: make_conv(TWO, regular("C4", 2), 3), r"fields of D4 \(D4: 2 regular\), got C4: 2 regular"),
        (lambda: GroupConv2d(VECTOR, TWO, 3), "all regular or all trivial .* D4: 1 vector"),
        (lambda: GroupConv2d(TWO, POINTS, 3), "expected all regular fields, got D4: 2 trivial"),
        (lambda: TrivialConv2d(TWO, TWO, 3), "expected all trivial fields, got D4: 2 regular"),
        (lambda: FieldBatchNorm2d(VECTOR), "channels are permuted .* D4: 1 vector; use make_norm"),
        (lambda: FieldDropout(FieldType("D4", "regular + vector")), "fields of one kind, got D4: 1 regular"),
        (lambda: AntialiasedMaxPool2d(VECTOR), "permuted .* use AntialiasedAvgPool2d"),
        (lambda: GroupSelfAttention(POINTS, 5), "expected all regular fields, got D4: 2 trivial"),
        (lambda: AttentionGate(TWO, POINTS), "expected all trivial fields"),
        (lambda: make_conv(POINTS, VECTOR, 1), "1x1 filters from .* none that is equivariant"),
        (lambda: make_activation(regular("D4", 1), "rellu"), "did you mean 'relu'"),
        (lambda: make_conv(FieldType("C64", "vector"), regular("C64", 1), 3), "group C64 with 3x3 filters"),
    ],
)
def test_types_that_do_not_fit_get_one_line(build, message):
    with pytest.raises(InputError, match=message) as caught:
        build()
    assert "\n" not in str(caught.value)


def test_a_mixed_batch_norm_normalises_and_follows_its_statistics():
    vector = FieldType("C8", "3 vector")
    norm = LengthBatchNorm2d(vector).double()
    x_BCHW = 5 * torch.randn(8, 6, 9, 9, dtype=torch.float64)
    y_BFDHW = norm(x_BCHW).unflatten(1, (3, 2))
    square_F = y_BFDHW.square().mean((0, 2, 3, 4))
    torch.testing.assert_close(square_F, torch.ones(3, dtype=torch.float64), rtol=1e-4, atol=0)
    for _ in range(200):
        norm(x_BCHW)
    torch.testing.assert_close(norm.eval()(x_BCHW), y_BFDHW.flatten(1, 2), rtol=1e-6, atol=1e-6)


def test_casting_general_filters_loses_no_digits():
    conv = FieldConv2d(FieldType("D4", "vector"), FieldType("D4", "irrep(2)"), 5)
    block = conv.rows[0][0]
    assert torch.equal(conv.half().double().rows[0][0].filters_NDEP, block.exact_buffers()["filters_NDEP"])


def test_general_layers_come_over_the_meta_device():
    mixed = FieldType("D4", "regular + vector + 2 trivial")

    def make():
        conv = make_conv(mixed, mixed, 3, bias=True)
        return FieldSequential(conv, make_norm(mixed), make_activation(mixed), make_layer_norm(mixed)).eval()

    layer, x_BCHW = make(), torch.randn(1, mixed.size, 7, 7)
    with torch.device("meta"):
        bare = make()
    emptied = copy.deepcopy(bare).to_empty(device="cpu")
    emptied.load_state_dict(layer.state_dict())
    bare.load_state_dict(layer.state_dict(), assign=True)
    assert torch.equal(emptied(x_BCHW), layer(x_BCHW)) and torch.equal(bare(x_BCHW), layer(x_BCHW))
