"""Invariant read-outs as an option of every steerable backbone, and what each of them sees."""

import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from equirgz import list_backbones
from equirgz.backbones import BACKBONES, measure_cost
from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import get_group
from equirgz.nn import READOUTS, InvariantReadout, PowerSpectrum
from tests.backbones.test_contract import build, images, shake
from tests.equivariance import assert_equivariant

# Published networks are read as published, canonicalised ones as the network inside.
NAMES = [n for n in list_backbones("steerable_*") if "published" not in n and "canonical" not in n]


def test_every_steerable_backbone_has_the_option():
    assert [n for n in NAMES if "readout" not in inspect.signature(BACKBONES.get(n)).parameters] == []


@pytest.mark.parametrize("readout", ["spectrum", "max_filter"])
@pytest.mark.parametrize("name", NAMES)
def test_exact_with_gradients_twin_and_blocks(name, readout):
    backbone = shake(build(name, readout=readout))
    h_BF = backbone(images(backbone, 4))
    (h_BF * torch.randn(h_BF.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    assert [k for k, p in backbone.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
    assert {id(p) for b in backbone.blocks() for p in b.parameters()} == {id(p) for p in backbone.parameters()}
    assert h_BF.shape == (4, backbone.num_features) and measure_cost(backbone)["multiply_adds"] > 0
    backbone.eval()
    assert_equivariant(backbone, dtypes=(torch.float64,), batch=1, tolerance={torch.float64: 1e-12})
    x_BCHW = images(backbone)
    torch.testing.assert_close(backbone.to_plain()(x_BCHW), backbone(x_BCHW), rtol=1e-5, atol=1e-5)


@settings(max_examples=8, deadline=None)
@given(group=st.sampled_from(["C2", "C3", "C4", "C8", "D1", "D3", "D4", "D8"]), fields=st.integers(1, 3))
def test_the_spectrum_is_invariant_under_all_elements_and_keeps_the_mean_square(group, fields):
    in_type = FieldType.regular(group, fields)
    layer = PowerSpectrum(in_type).double()
    x_BC = torch.randn(3, in_type.size, dtype=torch.float64)
    power_BFR = layer(x_BC[:, :, None, None])[:, :, 0, 0].unflatten(1, (fields, -1))
    x_BFG = x_BC.unflatten(1, (fields, -1))
    torch.testing.assert_close(power_BFR.square().sum(2), x_BFG.square().mean(2), rtol=0, atol=1e-12)
    torch.testing.assert_close(power_BFR[:, :, 0], x_BFG.mean(2), rtol=0, atol=1e-12)
    for g in range(in_type.group.order):
        acted_BC = x_BC @ torch.from_numpy(in_type.matrix_CC(g)).T
        torch.testing.assert_close(
            layer(acted_BC[:, :, None, None])[:, :, 0, 0], power_BFR.flatten(1), rtol=0, atol=1e-12
        )


def test_the_spectrum_tells_apart_what_the_maximum_does_not():
    x_BC11 = torch.tensor([[3.0, 1.0, 1.0, 0.0], [3.0, 0.0, 1.0, 1.0], [3.0, 1.0, 0.0, 1.0]])[:, :, None, None]
    in_type = FieldType.regular("C4", 1)
    assert InvariantReadout(in_type, "max")(x_BC11).unique().numel() == 1
    spectrum_BR = InvariantReadout(in_type, "spectrum")(x_BC11)
    assert spectrum_BR.shape == (3, 3)
    assert (spectrum_BR[0] - spectrum_BR[2]).abs().max() > 0.1
    torch.testing.assert_close(spectrum_BR[0], spectrum_BR[1])  # mirror images have one spectrum under C4


def test_gradients_at_zero_are_zero():
    x_BCHW = torch.zeros(1, 8, 3, 3, requires_grad=True)
    PowerSpectrum(FieldType.regular("D4", 1))(x_BCHW)[:, 1:].sum().backward()
    assert torch.equal(x_BCHW.grad, torch.zeros_like(x_BCHW))


def test_max_filters_are_the_largest_products_with_turned_templates():
    torch.manual_seed(0)
    in_type = FieldType.regular("D3", 2)
    readout = InvariantReadout(in_type, "max_filter").double()
    matrix_CC = readout.group_pooling[0].expand().detach()
    x_BC = torch.randn(5, in_type.size, dtype=torch.float64)
    group = get_group("D3")
    for j in range(4):
        template_C = matrix_CC[j * group.order]
        turned_GC = torch.stack([torch.from_numpy(in_type.matrix_CC(g)) @ template_C for g in range(group.order)])
        expected_B = (x_BC @ turned_GC.T).amax(1)
        torch.testing.assert_close(readout(x_BC[:, :, None, None])[:, j], expected_B, rtol=0, atol=1e-12)


def test_trivial_fields_and_c1_are_read_as_they_are():
    x_BCHW = torch.randn(2, 3, 4, 4)
    for group in ("C1", "D4"):
        readout = InvariantReadout(FieldType.trivial(group, 3), "spectrum")
        torch.testing.assert_close(readout(x_BCHW), x_BCHW.mean((-2, -1)))


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_readout_gets_one_line(name):
    with pytest.raises(InputError, match="readout: expected 'mean', .* or 'max_filter', got 'median'; use 'mean'"):
        build(name, readout="median")
    assert set(READOUTS) == {"mean", "max", "mean_max", "spectrum", "max_filter"}


def test_readouts_of_other_fields_get_one_line():
    with pytest.raises(InputError, match="PowerSpectrum input: expected all regular fields"):
        InvariantReadout(FieldType("D4", "2 vector"), "spectrum")
