"""The steerable ConvNeXt beyond the contract of all backbones."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from equirgz import create_backbone
from equirgz.backbones import measure_cost
from equirgz.errors import InputError
from tests.backbones.test_contract import shake
from tests.equivariance import assert_equivariant


@settings(max_examples=6, deadline=None)
@given(
    group=st.sampled_from(["C2", "C3", "C4", "C8", "D1", "D3", "D4", "D8"]),
    depths=st.lists(st.integers(1, 2), min_size=1, max_size=3),
    stem_stride=st.sampled_from([1, 2, 4]),
    halvings=st.integers(1, 2),
    norm=st.sampled_from(["group", "layer", "batch"]),
)
def test_exact_on_the_lattice_for_all_groups_depths_and_sizes(group, depths, stem_stride, halvings, norm):
    torch.manual_seed(0)
    size = halvings * stem_stride * 2 ** (len(depths) - 1) * 2 + 1
    options = {"fields": tuple(range(2, 2 + len(depths))), "depths": tuple(depths), "stem_stride": stem_stride}
    options["norm"] = norm
    backbone = shake(create_backbone("steerable_convnext", group=group, image_size=size, kernel_size=5, **options))
    assert_equivariant(backbone, dtypes=(torch.float64,), tolerance={torch.float64: 1e-12})


def test_a_d8_network_multiplies_less_than_the_plain_one_of_the_same_channels():
    fields = (2, 4)
    plain_fields = tuple(16 * f for f in fields)
    options = {"image_size": 65, "depths": (1, 1)}
    steerable = measure_cost(create_backbone("steerable_convnext", group="D8", fields=fields, **options))
    plain = measure_cost(create_backbone("steerable_convnext", group="C1", fields=plain_fields, **options))
    assert steerable["parameters"] < plain["parameters"] / 8
    assert steerable["multiply_adds"] < plain["multiply_adds"]


@pytest.mark.parametrize("group", ["C1", "D4"])
@pytest.mark.parametrize(("name", "first"), [("steerable_convnext", "stem"), ("steerable_vit", "embed")])
def test_a_faint_lobe_stays_fainter_than_a_bright_one_but_for_norms_of_single_positions(name, first, group):
    x_BCHW = torch.zeros(1, 1, 33, 33)
    x_BCHW[..., 15:18, 7:10], x_BCHW[..., 15:18, 23:26] = 1.0, 0.1
    ratio = {}
    for norm in ("group", "layer"):
        torch.manual_seed(0)
        backbone = create_backbone(name, group=group, image_size=33, norm=norm).eval()
        y_BCHW = getattr(backbone, first)(x_BCHW).detach()
        stride = 32 // (y_BCHW.shape[-1] - 1)
        bright, faint = (y_BCHW[0, :, 16 // stride, column // stride].square().mean() for column in (8, 24))
        ratio[norm] = float(faint / bright)
    assert ratio["layer"] > 0.9 and ratio["group"] < 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "full"}, "norm: unknown 'full'; .*batch, group, layer"),
        ({"depths": (2, 2)}, r"depths: expected 3 numbers, got \(2, 2\)"),
        ({"depths": 2}, "depths: expected 3 numbers, got 2"),
        ({"depths": (2, 0, 1)}, "depths: expected a whole number, at least 1, got 0"),
        ({"fields": (), "depths": ()}, "fields: expected at least one stage, got none"),
        ({"stem_stride": 3}, "stem_stride: expected 1, 2 or 4, got 3"),
        ({"mlp_ratio": 0}, "mlp_ratio: expected a finite number above 0"),
        ({"kernel_size": 4}, "kernel_size: expected an odd number"),
        ({"group": "C128", "kernel_size": 3}, "group C128 with 5x5 filters: expected .* use "),
        ({"image_size": 64}, "image_size: expected 1 mod 16 .* got 64; use 49 or 65"),
    ],
)
def test_bad_input_gets_one_line(options, message):
    with pytest.raises(InputError, match=message) as refused:
        create_backbone("steerable_convnext", **options)
    assert "\n" not in str(refused.value)
