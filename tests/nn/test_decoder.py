"""Decoder layers: upsampling against its formula, exact on the lattice; skips, blocks and heads."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType
from equirgz.nn import EquivariantHead2d, InvariantHead2d, SkipConcat, UpBlock, UpsampleOdd2d, make_conv
from tests.equivariance import assert_equivariant
from tests.field_types import GROUPS, field_types, regular, trivial
from tests.nn.test_field_layers import shaken

EXACT = {torch.float32: 1e-6, torch.float64: 1e-12}


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(GROUPS).flatmap(field_types), st.integers(1, 6))
def test_upsampling_is_exact_for_every_type_and_size(in_type, size):
    layer = UpsampleOdd2d(in_type)
    assert_equivariant(layer, size=size, tolerance=EXACT)
    x_BCHW = torch.randn(2, in_type.size, size, size, dtype=torch.float64)
    y_BCHW = layer.double()(x_BCHW)
    assert y_BCHW.shape[-2:] == (2 * size - 1, 2 * size - 1)
    assert torch.equal(y_BCHW[..., ::2, ::2], x_BCHW)
    torch.testing.assert_close(y_BCHW[..., 1::2, ::2], (x_BCHW[..., 1:, :] + x_BCHW[..., :-1, :]) / 2)
    torch.testing.assert_close(y_BCHW[..., ::2, 1::2], (x_BCHW[..., 1:] + x_BCHW[..., :-1]) / 2)
    torch.testing.assert_close(layer.to_plain()(x_BCHW), y_BCHW)


def test_upsampling_to_an_even_size_is_not_exact():
    layer = nn.Upsample(scale_factor=2, mode="nearest")
    strided = nn.Sequential(layer, nn.MaxPool2d(3, 2, 1))
    with pytest.raises(AssertionError):
        assert_equivariant(strided, size=5, in_type=regular("D4", 1), out_type=regular("D4", 1))


class Decoder(nn.Module):
    """Two strided convolutions down, two blocks up, one head: images in, maps of the images' size out."""

    def __init__(self, group: str, head: str, activation: str = "relu") -> None:
        super().__init__()
        image, fine, coarse = trivial(group, 1), FieldType(group, "2 regular + 1 vector"), regular(group, 3)
        self.in_type = image
        self.down1 = make_conv(image, fine, 3, stride=2, basis="harmonic")
        self.down2 = make_conv(fine, coarse, 3, stride=2, basis="harmonic")
        self.up2 = UpBlock(coarse, fine, coarse, activation=activation)
        self.up1 = UpBlock(coarse, image, fine)
        vector = FieldType(group, "vector")
        self.head = InvariantHead2d(fine, 2) if head == "invariant" else EquivariantHead2d(fine, vector)
        self.out_type = self.head.out_type

    def forward(self, x_BCHW):
        fine = self.down1(x_BCHW)
        return self.head(self.up1(self.up2(self.down2(fine), fine), x_BCHW))


@pytest.mark.parametrize("group", ["C1", "C8", "D4"])
@pytest.mark.parametrize("head", ["invariant", "equivariant"])
def test_a_network_down_and_up_commutes_with_the_group(group, head):
    torch.manual_seed(0)
    network = shaken(Decoder(group, head))
    assert network(torch.zeros(1, 1, 9, 9)).shape == (1, 2, 9, 9)
    assert_equivariant(network, size=9, tolerance={torch.float32: 1e-5, torch.float64: 1e-12})
    with pytest.raises(InputError, match="skip connection: expected maps of one size, got 3 x 3, 4 x 4; upsample"):
        network(torch.zeros(1, 1, 8, 8))


def test_every_parameter_of_a_decoder_learns():
    network = Decoder("D4", "invariant").train()
    y_BCHW = network(torch.randn(2, 1, 9, 9))
    (y_BCHW * torch.randn(y_BCHW.shape)).sum().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
    assert torch.equal(copy.deepcopy(network.eval())(torch.ones(1, 1, 9, 9)), network(torch.ones(1, 1, 9, 9)))


def test_skips_are_direct_sums():
    a, b = regular("D4", 2), FieldType("D4", "regular + vector")
    skip = SkipConcat(a, b)
    assert skip.out_type == FieldType("D4", "3 regular + vector")
    x, y = torch.randn(1, a.size, 3, 3), torch.randn(1, b.size, 3, 3)
    assert torch.equal(skip(x, y), torch.cat([x, y], 1))


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: SkipConcat(regular("D4", 2), regular("C4", 2)), "fields of D4 .* got C4: 2 regular"),
        (
            lambda: UpBlock(regular("D4", 2), None, regular("D4", 2))(
                torch.zeros(1, 16, 3, 3), torch.zeros(1, 16, 5, 5)
            ),
            "UpBlock: expected no skipped maps, got \\(1, 16, 5, 5\\)",
        ),
        (
            lambda: UpBlock(regular("D4", 2), trivial("D4", 1), regular("D4", 2))(torch.zeros(1, 16, 3, 3)),
            "UpBlock: expected skipped maps of D4: 1 trivial, got none",
        ),
        (
            lambda: EquivariantHead2d(trivial("D4", 2), FieldType("D4", "vector")),
            "none that is equivariant; use",
        ),
    ],
)
def test_wrong_types_and_maps_get_one_line(act, message):
    with pytest.raises(InputError, match=message):
        act()


def test_a_larger_head_turns_trivial_fields_into_vectors():
    assert_equivariant(EquivariantHead2d(trivial("D4", 2), FieldType("D4", "vector"), kernel_size=3), size=7)
