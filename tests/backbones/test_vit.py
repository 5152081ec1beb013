"""The steerable ViT beyond the contract of all backbones: hybrids, both attentions, its refusals."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from equirgz import create_backbone, load_encoder, save_encoder
from equirgz.backbones import measure_cost
from equirgz.errors import InputError
from tests.backbones.test_contract import images, shake
from tests.equivariance import assert_equivariant

EXACT = {torch.float64: 1e-12}


def build(group="D4", **options):
    torch.manual_seed(0)
    options = {"image_size": 33, "fields": 4, "heads": 2, "depth": 2, **options}
    return create_backbone("steerable_vit", group=group, **options)


@settings(max_examples=8, deadline=None)
@given(
    group=st.sampled_from(["C2", "C3", "C4", "C8", "D1", "D3", "D4", "D8"]),
    heads=st.integers(1, 3),
    depth=st.integers(1, 3),
    patch_size=st.sampled_from([2, 4, 8]),
    patches=st.integers(1, 4),
    norm=st.sampled_from(["group", "layer", "batch"]),
    data=st.data(),
)
def test_exact_on_the_lattice_for_all_groups_heads_depths_and_sizes(
    group, heads, depth, patch_size, patches, norm, data
):
    options = {
        "fields": 2 * heads,
        "heads": heads,
        "depth": depth,
        "patch_size": patch_size,
        "image_size": patches * patch_size + 1,
        "norm": norm,
        "equivariant_blocks": data.draw(st.integers(0, depth)),
    }
    backbone = shake(build(group, **options))
    assert_equivariant(backbone, dtypes=(torch.float64,), tolerance=EXACT)


@pytest.mark.parametrize("equivariant_blocks", [0, 1, 2])
def test_plain_blocks_on_invariant_features_keep_everything(equivariant_blocks, tmp_path):
    backbone = shake(build(equivariant_blocks=equivariant_blocks)).eval()
    assert backbone.is_invariant
    assert backbone.num_features == (4 if equivariant_blocks == 2 else 32)
    h_BF = backbone(images(backbone))
    (h_BF * torch.randn_like(h_BF)).sum().backward()
    assert [k for k, p in backbone.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []
    torch.testing.assert_close(backbone.to_plain()(images(backbone)), h_BF, rtol=1e-5, atol=1e-5)
    assert len(backbone.attention_maps(images(backbone))) == 2
    info = create_backbone(**backbone.config, features_only=True).feature_info
    assert str(info.field_type(-1)) == ("D4: 4 regular" if equivariant_blocks == 2 else "D4: 32 trivial")
    assert torch.equal(load_encoder(save_encoder(backbone, tmp_path / "encoder"))(images(backbone)), h_BF)


def test_plain_blocks_on_regular_features_give_up_the_symmetry_and_say_so():
    backbone = shake(build(equivariant_blocks=1, plain_features="regular")).eval()
    assert not backbone.is_invariant and backbone.num_features == 32
    with pytest.raises(AssertionError, match="FAIL"):
        assert_equivariant(backbone, dtypes=(torch.float64,))
    torch.testing.assert_close(backbone.to_plain()(images(backbone)), backbone(images(backbone)), rtol=1e-5, atol=1e-5)
    assert build("C1", equivariant_blocks=1, plain_features="regular").is_invariant


@pytest.mark.parametrize("group", ["C4", "D4"])
def test_joint_attention_stays(group):
    backbone = shake(build(group, attention="joint"))
    assert_equivariant(backbone, dtypes=(torch.float64,), tolerance=EXACT)
    over_positions = build(group)
    order = backbone.group.order
    joint, positions = (measure_cost(b)["multiply_adds"] for b in (backbone, over_positions))
    assert joint > positions
    attended = [b.transformer[0].attention.attend.multiply_adds(5, 5) for b in (backbone, over_positions)]
    assert 0.5 * order < attended[0] / attended[1] < order


def test_sizes_are_those_that_the_budget_allows():
    joint, positions = build(attention="joint"), build()
    assert positions.image_sizes[:2] == [9, 17] and positions.image_sizes[-1] > joint.image_sizes[-1]
    beyond = joint.image_sizes[-1] + 8
    with pytest.raises(InputError, match="attention='joint'"):
        build(attention="joint", image_size=beyond)
    assert beyond in build(attention="joint", memory_budget_mib=1e4).image_sizes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"equivariant_blocks": 3}, "equivariant_blocks: expected 0 to 2, the depth, got 3; use 2, or a larger depth"),
        ({"equivariant_blocks": -1}, "equivariant_blocks: expected a whole number, at least 0, got -1"),
        ({"equivariant_blocks": 1.5}, "equivariant_blocks: expected a whole number"),
        ({"heads": 3}, "steerable_vit fields: expected a multiple of 3 heads, got 4; use 3 or 6"),
        ({"heads": 0}, "heads: expected a whole number, at least 1"),
        ({"patch_size": 6}, "patch_size: expected one of 2, 4, 8, 16, 32 pixels, got 6; use 8"),
        ({"patch_size": True}, "patch_size: expected one of"),
        ({"norm": "full"}, "norm: unknown 'full'; .*batch, group, layer"),
        ({"attention": "full"}, "attention: unknown 'full'; .*joint, positions"),
        ({"plain_features": "odd"}, "plain_features: unknown 'odd'"),
        ({"image_size": 32}, "image_size: expected 1 mod 8 .* got 32; use 25 or 33"),
        (
            {"attention": "joint", "image_size": 257, "group": "D8"},
            r"attention='joint', memory per image: expected at most 64 MiB, got \d+\.\d MiB \(2 heads, 16 elements "
            r"of D8 x the positions of a 33 x 33 map\); use attention='positions' \(\d+\.\d MiB\), a larger patch",
        ),
        ({"group": "C128", "patch_size": 2}, "group C128 with 3x3 filters: expected .* use "),
    ],
)
def test_bad_input_gets_one_line(options, message):
    with pytest.raises(InputError, match=message) as refused:
        build(**options)
    assert "\n" not in str(refused.value)
