"""Each layer against its law: equivariance, brute force, ordinary twins."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from equirgz.errors import InputError
from equirgz.geometry.action import apply_element, apply_element_to_maps
from equirgz.geometry.group import get_group
from equirgz.nn import (
    AntialiasedAvgPool2d,
    AntialiasedMaxPool2d,
    DiskMask,
    FieldBatchNorm2d,
    FieldDropout,
    GroupConv2d,
    GroupPooling,
    InvariantReadout,
    make_conv,
)
from equirgz.nn.reproduction import SoftDiskMask
from tests.field_types import regular, trivial

pytestmark = pytest.mark.rounding


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def lattice(group):
    return [g for g in range(group.order) if group.is_lattice(g)]


def assert_maps_commute(layer, group, x_BFGHW, atol=1e-12):
    def run(x):
        return layer(x.flatten(1, 2)).unflatten(1, (-1, group.order))

    y = run(x_BFGHW)
    for g in lattice(group):
        torch.testing.assert_close(
            run(apply_element_to_maps(x_BFGHW, group, g)),
            apply_element_to_maps(y, group, g),
            rtol=0,
            atol=atol,
        )


@pytest.mark.parametrize("name", ["C1", "C2", "C4", "C8", "D1", "D2", "D4", "D8"])
@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_group_convolution_commutes_with_the_group(name, kernel, stride):
    group = get_group(name)
    conv = GroupConv2d(regular(group, 2), regular(group, 3), kernel, stride=stride, bias=True).double()
    nn.init.normal_(conv.bias)
    assert_maps_commute(conv, group, noise(1, 2, group.order, 9, 9))


@pytest.mark.parametrize("name", ["C4", "D2", "D8"])
def test_lifting_commutes_with_the_group(name):
    group = get_group(name)
    conv = GroupConv2d(trivial(group, 2), regular(group, 3), 5).double()
    x_BCHW = noise(1, 2, 9, 9)
    y = conv(x_BCHW).unflatten(1, (-1, group.order))
    for g in lattice(group):
        turned = conv(apply_element(x_BCHW, group, g)).unflatten(1, (-1, group.order))
        torch.testing.assert_close(turned, apply_element_to_maps(y, group, g), rtol=0, atol=1e-12)


def test_group_convolution_against_its_sum():
    """y_o(p, g) = sum_{i,h,x} psi_{oi, g^-1 h}(g^-1 x) f_i(p + x, h), written out on D4."""
    group = get_group("D4")
    conv = GroupConv2d(regular(group, 2), regular(group, 1), 3, padding=0).double()
    basis_K33 = torch.from_numpy(conv.basis.values_KP).reshape(-1, 3, 3)
    psi_OIU33 = torch.einsum("oiuk,khw->oiuhw", conv.weight.detach(), basis_K33)
    x_BFGHW = noise(1, 2, 8, 3, 3)
    for g in range(8):
        total = 0.0
        for i in range(2):
            for h in range(8):
                u = int(group.product_GG[group.inverse_G[g], h])
                psi = apply_element(psi_OIU33[0, i, u][None, None], group, g)[0, 0]
                total += (psi * x_BFGHW[0, i, h]).sum()
        assert conv(x_BFGHW.flatten(1, 2))[0, g, 0, 0].item() == pytest.approx(float(total), rel=1e-12)


def test_c1_is_an_ordinary_convolution():
    conv = make_conv(trivial("C1", 3), regular("C1", 4), 5)
    assert type(conv) is nn.Conv2d
    pixel = GroupConv2d(regular("C1", 3), regular("C1", 4), 5, basis="pixel").double()
    x_BCHW = noise(2, 3, 9, 9)
    expected = F.conv2d(x_BCHW, pixel.weight.detach().reshape(4, 3, 5, 5), padding=2)
    torch.testing.assert_close(pixel(x_BCHW), expected)


def test_activations_keep_their_scale_through_layers():
    torch.manual_seed(0)
    group = get_group("D8")
    x_BCHW = torch.randn(4, 8 * 16, 17, 17)
    for _ in range(4):
        x_BCHW = torch.relu(GroupConv2d(regular(group, 8), regular(group, 8), 5)(x_BCHW))
    assert 0.1 < x_BCHW.square().mean().item() * 2 < 10.0


def test_casting_to_float64_and_back_loses_nothing():
    group = get_group("D8")
    conv = GroupConv2d(regular(group, 1), regular(group, 1), 5)
    exact = torch.from_numpy(conv.basis.turned_GKP(group))
    assert torch.equal(conv.double().turned_GKP, exact)
    assert torch.equal(conv.half().float().double().turned_GKP, exact)
    pool = AntialiasedAvgPool2d(trivial(group, 2))
    assert pool.half().double().kernel_HW.sum().item() == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize("name", ["C4", "D4"])
def test_field_batch_norm(name):
    group = get_group(name)
    norm = FieldBatchNorm2d(regular(group, 3)).double()
    x = noise(5, 3, group.order, 7, 7) * 3 + 1
    y = norm(x.flatten(1, 2)).unflatten(1, (3, group.order))
    torch.testing.assert_close(y.mean((0, 2, 3, 4)), torch.zeros(3, dtype=y.dtype), atol=1e-12, rtol=0)
    torch.testing.assert_close(y.var((0, 2, 3, 4), unbiased=False), torch.ones(3, dtype=y.dtype), atol=1e-4, rtol=0)
    nn.init.normal_(norm.norm.weight)
    nn.init.normal_(norm.norm.bias)
    assert_maps_commute(norm.train(), group, x, 1e-10)
    assert_maps_commute(norm.eval(), group, x)
    plain = norm.to_plain().eval()
    torch.testing.assert_close(plain(x.flatten(1, 2)), norm(x.flatten(1, 2)))


@pytest.mark.parametrize("pool", [AntialiasedAvgPool2d(regular("C2", 3)), AntialiasedMaxPool2d(regular("C2", 3))])
def test_pools_are_exact_on_odd_sizes_and_have_ordinary_twins(pool):
    group = get_group("C2")
    pool = pool.double()
    x = noise(2, 3, 2, 13, 13)
    assert pool(x.flatten(1, 2)).shape[-1] == 7
    assert_maps_commute(pool, group, x)
    torch.testing.assert_close(pool.to_plain()(x.flatten(1, 2)), pool(x.flatten(1, 2)))


def test_the_published_window_is_not_exact():
    group = get_group("C4")
    with pytest.raises(AssertionError):
        assert_maps_commute(AntialiasedMaxPool2d(regular(group, 1), window=2).double(), group, noise(1, 1, 4, 13, 13))


def test_average_pool_keeps_a_constant_inside():
    inside = AntialiasedAvgPool2d(trivial("C1", 1))(torch.ones(1, 1, 17, 17))[..., 2:-2, 2:-2]
    torch.testing.assert_close(inside, torch.ones_like(inside))


def test_field_dropout_drops_whole_fields():
    group = get_group("D4")
    dropout = FieldDropout(regular(group, 4), 0.5)
    torch.manual_seed(0)
    y = dropout(torch.ones(50, 4 * 8, 3, 3)).unflatten(1, (4, 8))
    values = y.flatten(2)
    assert bool(((values == 0).all(2) | (values == 2).all(2)).all())
    assert 0.35 < (values[..., 0] == 0).float().mean() < 0.65
    assert torch.equal(dropout.eval()(y.flatten(1, 2)), y.flatten(1, 2))


@pytest.mark.parametrize("how", ["max", "mean"])
def test_group_pooling_leaves_trivial_fields(how):
    group, x = get_group("D4"), noise(2, 3, 8, 5, 5)
    pool = GroupPooling(regular(group, 3), how)
    y = pool(x.flatten(1, 2))
    assert torch.equal(y, x.amax(2) if how == "max" else x.mean(2))
    plain = pool.to_plain()(x.flatten(1, 2))
    torch.testing.assert_close(plain, y, rtol=0, atol=0 if how == "max" else 1e-15)
    for g in range(8):
        turned = pool(apply_element_to_maps(x, group, g).flatten(1, 2))
        torch.testing.assert_close(turned, apply_element(y, group, g))


@pytest.mark.parametrize("space", ["mean", "max", "mean_max"])
def test_readout_is_invariant_and_flattening_is_not(space):
    group, x = get_group("D4"), noise(2, 3, 8, 5, 5)
    readout = InvariantReadout(regular(group, 3), space)
    h_BF = readout(x.flatten(1, 2))
    assert h_BF.shape == (2, 3 * readout.features_per_field)
    turned = apply_element_to_maps(x, group, 1).flatten(1, 2)
    torch.testing.assert_close(readout(turned), h_BF)
    flat, flat_turned = (GroupPooling(regular(group, 3))(y).flatten(1) for y in (x.flatten(1, 2), turned))
    assert (flat - flat_turned).norm() > 0.3 * flat.norm()


def test_disk_mask_layer():
    hard, soft = DiskMask(9), SoftDiskMask(9)
    x = torch.ones(1, 1, 9, 9)
    assert hard(x)[0, 0, 0, 0] == 0 and hard(x)[0, 0, 4, 4] == 1
    assert 0 < soft(x)[0, 0, 0, 0] < 1
    with pytest.raises(InputError, match="9 x 9"):
        hard(torch.ones(1, 1, 8, 8))


def test_wrong_channel_count_is_refused():
    with pytest.raises(InputError, match=r"\(B, 16, H, W\)"):
        GroupConv2d(regular("D4", 2), regular("D4", 1), 3)(torch.zeros(1, 2, 9, 9))
