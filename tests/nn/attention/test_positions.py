"""Self-attention over positions: its symmetry, its positional law against sums written out, its memory bound."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType
from equirgz.nn import PositionSelfAttention, estimate_position_bytes
from equirgz.nn.attention.offsets import offset_functions
from equirgz.nn.attention.positions import PositionAttention
from tests.equivariance import assert_equivariant


def layer(group="D4", fields="4 regular", map_size=5, heads=2, **options):
    torch.manual_seed(0)
    return PositionSelfAttention(FieldType(group, fields), map_size, heads, **options)


@settings(max_examples=10, deadline=None)
@given(
    group=st.sampled_from(["C2", "C3", "C4", "C8", "D1", "D2", "D4", "D6", "D8"]),
    heads=st.integers(1, 3),
    per_head=st.integers(1, 2),
    map_size=st.integers(2, 6),
    kind=st.sampled_from(["regular", "trivial"]),
    disk=st.booleans(),
)
def test_commutes_with_every_lattice_element(group, heads, per_head, map_size, kind, disk):
    module = layer(group, f"{heads * per_head} {kind}", map_size, heads, disk=disk)
    assert_equivariant(module, size=map_size, dtypes=(torch.float64,), tolerance={torch.float64: 1e-12})


def test_a_position_that_does_not_turn_is_found_out():
    module = layer("C4").double()
    exact = module.attend.exact_buffers()
    module.attend.exact_buffers = lambda: exact | {"turned_GKO": exact["turned_GKO"][:1].expand(4, -1, -1)}
    with pytest.raises(AssertionError, match="FAIL"):
        assert_equivariant(module, size=5, dtypes=(torch.float64,))


@pytest.mark.parametrize("fields", ["2 regular", "2 trivial"])
def test_against_the_sum_over_positions_written_out(fields):
    """Every pair of positions of a 3x3 map under D4, the offset turned by the matrix of g^-1 alone."""
    in_type, size = FieldType("D4", fields), 3
    attend = PositionAttention(in_type, size, 1, disk=False).double()
    elements = in_type.field_size
    generator = torch.Generator().manual_seed(1)
    x_GXP = torch.randn(elements, 7, 9, generator=generator, dtype=torch.float64)
    got_GFP = attend(x_GXP[:, :, None])[:, :, 0].detach()
    q, k, v, s = x_GXP[:, :2], x_GXP[:, 2:4], x_GXP[:, 4:6], x_GXP[:, 6]
    frequency = 2 if elements > 1 else 0
    for p in range(9):
        scores = torch.zeros(9, dtype=torch.float64)
        for other in range(9):
            offset_2 = torch.tensor([other % 3 - p % 3, -(other // 3 - p // 3)], dtype=torch.float64).numpy()
            for g in range(elements):
                seen_12 = (offset_2 @ in_type.group.matrix_G22[g])[None]  # the transposed matrix is that of g^-1
                functions_K = torch.from_numpy(offset_functions(seen_12, 2 * math.sqrt(2), frequency)[:, 0])
                scores[other] += (1 + s[g, p]) * (attend.weight[0].detach() @ functions_K)
                scores[other] += q[g, :, p] @ k[g, :, other] / math.sqrt(2 * elements)
        expected_GF = torch.einsum("q,gfq->gf", scores.softmax(0), v)
        torch.testing.assert_close(got_GFP[:, :, p], expected_GF, rtol=0, atol=1e-12)


def test_the_direction_counts():
    """What stands above and what stands beside a source are weighed apart, as the features of the query say."""
    module = layer("D4", "1 regular", 5, 1, disk=False).double()
    x_BCSS = torch.randn(1, 8, 5, 5, dtype=torch.float64)
    mixed = module._mixed(x_BCSS).index_select(3, module.attend.pixel_P)
    bias_PP = module.attend.bias(mixed[:, -1:])[0, 0].detach()
    assert (bias_PP[12, 7] - bias_PP[12, 13]).abs() > 1e-3  # one pixel up, one pixel to the right


def test_outside_of_the_disk_nothing_is_seen_and_nothing_comes_out():
    attend = layer(map_size=9).attend
    corner = 0
    assert corner not in attend.pixel_P.tolist()
    x_GXBS = torch.randn(8, 14, 2, 81)
    y_GFBS = attend(x_GXBS)
    assert not y_GFBS[..., corner].any()
    changed = x_GXBS.clone()
    changed[..., corner] = 1e6
    assert torch.equal(attend(changed), y_GFBS)


def test_received_attention_is_a_share():
    module = layer()
    received = module.received(torch.randn(3, 32, 5, 5)).detach()
    assert received.shape == (3, 1, 5, 5) and received.min() >= 0
    torch.testing.assert_close(received.sum((1, 2, 3)), torch.ones(3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 3}, "attention fields: expected a multiple of 3 heads, got 4; use 3 or 6"),
        ({"heads": 0}, "attention fields: expected a multiple of 0 heads, got 4; use at least one head"),
        ({"fields": "4 vector"}, "attention: expected all regular or all trivial fields"),
        ({"map_size": 65}, r"memory per image: expected at most 64 MiB, got 2\d\d.* use a smaller map.*_mib=2\d\d$"),
    ],
)
def test_bad_input_gets_one_line(options, message):
    with pytest.raises(InputError, match=message):
        layer(**options)


def test_memory_is_three_numbers_for_each_pair_of_positions():
    assert estimate_position_bytes(3, 2, disk=False) == 4 * 3 * 2 * 81
    assert layer(map_size=3, disk=False).attend.activation_bytes() == 4 * 3 * 2 * 81
