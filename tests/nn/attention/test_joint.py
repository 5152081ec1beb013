"""Self-attention over positions and group elements: its symmetry, its positional law, its memory bound."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from equirgz.errors import InputError
from equirgz.geometry.action import apply_element_to_maps, disk_mask
from equirgz.geometry.group import get_group
from equirgz.nn import FieldLayerNorm2d, GroupSelfAttention, estimate_attention_bytes
from equirgz.nn.attention.joint import RelativeAttention
from equirgz.nn.attention.offsets import offset_functions
from tests.equivariance import assert_equivariant
from tests.field_types import regular


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def on_fields(module, x_BFGHW):
    return module(x_BFGHW.flatten(1, 2)).unflatten(1, (-1, x_BFGHW.shape[2]))


def layer(group, map_size=5, fields=4, heads=2, **options):
    torch.manual_seed(0)
    return GroupSelfAttention(regular(group, fields), map_size, heads, **options)


@pytest.mark.parametrize("group", ["C1", "C4", "C8", "D1", "D4", "D6"])
@pytest.mark.parametrize("options", [{}, {"disk": False}, {"window": 2}], ids=str)
def test_commutes_with_every_lattice_element(group, options):
    assert_equivariant(layer(group, **options), group, 5, in_channels=4, in_group=group, features=None, maps=on_fields)


@pytest.mark.parametrize("size", [4, 6])
def test_even_maps_are_exact_too(size):
    module = layer("D4", size)
    assert_equivariant(module, "D4", size, in_channels=4, in_group="D4", features=None, maps=on_fields)


def test_a_position_that_does_not_turn_is_found_out():
    module = layer("C4")
    module.attend.exact_basis = lambda: RelativeAttention.exact_basis(module.attend)[:1].expand(4, -1, -1)
    with pytest.raises(AssertionError, match="FAIL"):
        assert_equivariant(module.double(), "C4", 5, in_channels=4, in_group="C4", features=None, maps=on_fields)


@pytest.mark.parametrize("window", [None, 2])
def test_against_the_sum_over_tokens_written_out(window):
    """Every token pair of a 3x3 map under D4, the offset turned by the matrix of g^-1 alone."""
    group, size = get_group("D4"), 3
    attend = RelativeAttention(regular(group, 2), size, 1, window=window, disk=False).double()
    q, k, v = (noise(1, 16, size, size, seed=s) for s in range(3))
    weight_UK = attend.weight.detach()[0]
    reach = (size - 1) * math.sqrt(2) if window is None else window
    maps = (q, k, v, attend(q, k, v).detach())
    q_FGHW, k_FGHW, v_FGHW, got_FGHW = (x[0].unflatten(0, (2, 8)) for x in maps)
    cells = list(np.ndindex(size, size))
    for g in range(8):
        for p in cells:
            offset_92 = np.array([[at[1] - p[1], p[0] - at[0]] for at in cells], float)
            seen_92 = np.stack([np.linalg.inv(group.matrix_G22[g]) @ offset for offset in offset_92])
            functions_K9 = torch.from_numpy(offset_functions(seen_92, reach))
            near_9 = torch.from_numpy(np.hypot(*offset_92.T) <= (window or 9))
            scores, values = [], []
            for h in range(8):
                u = int(group.product_GG[group.inverse_G[g], h])
                product_9 = q_FGHW[(slice(None), g, *p)] @ k_FGHW[:, h].flatten(1)
                scores.append((product_9 / math.sqrt(2) + weight_UK[u] @ functions_K9)[near_9])
                values.append(v_FGHW[:, h].flatten(1)[:, near_9])
            expected_F = torch.cat(values, 1) @ torch.cat(scores).softmax(0)
            torch.testing.assert_close(got_FGHW[(slice(None), g, *p)], expected_F, rtol=1e-10, atol=1e-12)


def test_c1_is_ordinary_self_attention_with_a_bias():
    module = layer("C1", 4, 6, 3, disk=False).double()
    x_BCHW = noise(2, 6, 4, 4)
    q, k, v = (
        conv(x_BCHW).flatten(2).unflatten(1, (3, 2)).transpose(2, 3)
        for conv in (module.query, module.key, module.value)
    )
    bias_NTT = torch.empty(3, 16, 16, dtype=torch.float64)
    for t in range(16):
        for s in range(16):
            offset = np.array([[s % 4 - t % 4, t // 4 - s // 4]], float)
            functions_K = torch.from_numpy(offset_functions(offset, 3 * math.sqrt(2))[:, 0])
            bias_NTT[:, t, s] = module.attend.weight[:, 0].detach() @ functions_K
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias_NTT)
    expected = module.out(y.transpose(2, 3).flatten(1, 2).unflatten(2, (4, 4)))
    torch.testing.assert_close(module(x_BCHW), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("window", [None, 1, 2])
def test_rows_sum_to_one_and_weigh_the_values(window):
    group, attend = get_group("D2"), layer("D2", window=window).attend.double()
    q, k = (noise(2, 16, 5, 5, seed=s) for s in range(2))
    weights = attend.attention_weights(q, k)
    sums = weights.sum(-1) if window is None else weights.sum((-2, -1))
    torch.testing.assert_close(sums, torch.ones_like(sums))
    ones = torch.ones_like(q)
    in_disk = disk_mask(5, margin_px=-0.5).double().expand_as(ones)
    torch.testing.assert_close(attend(q, k, ones), in_disk)
    received_B1SS = attend.received(q, k)
    torch.testing.assert_close(received_B1SS.sum((1, 2, 3)), torch.ones(2, dtype=torch.float64))
    assert received_B1SS.shape == (2, 1, 5, 5) and group.order == 4


def test_what_a_position_receives_is_the_column_sum():
    full = layer("C4").attend.double()
    q, k = (noise(2, 16, 5, 5, seed=s) for s in range(2))
    column_BS = full.attention_weights(q, k).mean((1, 2)).unflatten(1, (4, -1)).sum(1)
    torch.testing.assert_close(full.received(q, k).flatten(1)[:, full.pixel_P], column_BS)


def test_a_window_as_wide_as_the_map_is_full_attention():
    """On a 4 px map (largest offset 4.2) and with window 7 the same rings 0, 1, 2, 4 are in reach."""
    full, local = (layer("D4", 4, window=w, disk=False).attend.double() for w in (None, 7))
    local.load_state_dict(full.state_dict())
    q, k, v = (noise(2, 32, 4, 4, seed=s) for s in range(3))
    torch.testing.assert_close(local(q, k, v), full(q, k, v))
    torch.testing.assert_close(local.received(q, k), full.received(q, k))


def test_nearly_exact_between_lattice_angles():
    """A smooth source turned by 45 degrees under C8, against a bias that does not turn."""
    group, size = get_group("C8"), 17
    torch.manual_seed(0)
    module = GroupSelfAttention(regular(group, 2), size, 1, memory_budget_mib=256).eval()
    axis = torch.linspace(-1, 1, size)
    row, column = torch.meshgrid(axis, axis, indexing="ij")
    centres = 0.3 * noise(2 * group.order, 2, dtype=torch.float32).clamp(-1, 1)
    blobs = torch.stack([torch.exp(-12 * ((row - r) ** 2 + (column - c) ** 2)) for r, c in centres])
    x_BFGHW = 2 * blobs.reshape(1, 2, group.order, size, size)
    inner = disk_mask(size, 3.0)

    def error():
        with torch.no_grad():
            got = on_fields(module, apply_element_to_maps(x_BFGHW, group, 1, mode="bicubic")) * inner
            expected = apply_element_to_maps(on_fields(module, x_BFGHW), group, 1, mode="bicubic") * inner
        return float((got - expected).norm() / expected.norm())

    assert group.angle_deg(1) == 45.0 and not group.is_lattice(1)
    turning = error()
    module.attend.turned_GKO = module.attend.turned_GKO[:1].expand_as(module.attend.turned_GKO).clone()
    assert turning < 0.03 and 3 * turning < error()


def test_positional_functions_are_steerable():
    """A turn mixes them among themselves: least squares leaves no rest, at any angle."""
    x_O2 = noise(60, 2).numpy() * 3
    for angle in (0.3, 1.1, 2.0):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        values, turned = offset_functions(x_O2, 6.0), offset_functions(x_O2 @ turn, 6.0)
        mixing = np.linalg.lstsq(values.T, turned.T, rcond=None)[0]
        np.testing.assert_allclose(values.T @ mixing, turned.T, atol=1e-10)
    assert len(offset_functions(x_O2, 6.0)) == 1 + 5 + 5 + 5
    assert np.isfinite(offset_functions(np.zeros((1, 2)), 6.0)).all()


def test_memory_is_refused_with_the_numbers_and_the_mend_works():
    group = get_group("D16")
    with pytest.raises(InputError) as refusal:
        GroupSelfAttention(regular(group, 8), 9, 4)
    message = str(refusal.value)
    tokens = 32 * 69
    needed = 4 * 2 * 4 * tokens**2
    assert estimate_attention_bytes(group, 9, 8, 4) == needed
    assert f"{needed / 2**20:.1f} MiB" in message and f"{tokens} tokens" in message
    assert "at most 64 MiB" in message and "window=2" in message and "\n" not in message
    GroupSelfAttention(regular(group, 8), 9, 4, window=2)
    GroupSelfAttention(regular(group, 8), 9, 4, memory_budget_mib=math.ceil(needed / 2**20))


def test_estimate_is_what_autograd_keeps():
    """Scores and weights measured on the tensors that a backward pass holds, within a factor of 2."""
    group = get_group("D4")
    attend = RelativeAttention(regular(group, 4), 7, 2)
    kept = {}

    def pack(x):
        kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    q, k, v = (noise(8, 32, 7, 7, seed=s, dtype=torch.float32).requires_grad_() for s in range(3))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        y = attend(q, k, v)
    assert y.requires_grad
    estimate = 8 * estimate_attention_bytes(group, 7, 4, 2)
    assert 0.3 * estimate < sum(kept.values()) < 2 * estimate


def test_casting_loses_nothing():
    attend = layer("D8").attend
    exact = attend.exact_basis()
    assert torch.equal(attend.half().double().turned_GKO, exact)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"fields": 5}, "multiple of 2 heads"), ({"window": 0}, "at least 1 pixel"), ({"heads": 0}, "heads")],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        layer("C4", **options)


def test_field_layer_norm():
    group = get_group("D4")
    norm = FieldLayerNorm2d(regular(group, 3)).double()
    x = noise(2, 3, 8, 5, 5) * 3 + 1
    y = on_fields(norm, x)
    torch.testing.assert_close(y.mean((1, 2)), torch.zeros(2, 5, 5, dtype=y.dtype), rtol=0, atol=1e-12)
    torch.testing.assert_close(y.square().mean((1, 2)), torch.ones(2, 5, 5, dtype=y.dtype), rtol=0, atol=1e-4)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, 3.0]))
        norm.bias.copy_(torch.tensor([0.0, 1.0, -1.0]))
    expected = y * norm.weight[:, None, None, None] + norm.bias[:, None, None, None]
    torch.testing.assert_close(on_fields(norm, x), expected)
    assert_equivariant(norm, "D4", 5, in_channels=3, in_group="D4", features=None, maps=on_fields)
