"""``image_sizes`` of every registered backbone: each one builds, works and is exact; others are refused."""

import re

import pytest
import torch

from equirgz import create_backbone, list_backbones
from equirgz.errors import InputError
from tests.backbones.test_contract import build, images, is_steerable, shake
from tests.equivariance import assert_equivariant


@pytest.fixture(params=list_backbones())
def name(request):
    return request.param


def test_every_listed_size_builds_the_same_architecture(name):
    default = build(name)
    sizes = default.image_sizes
    assert sizes == sorted(set(sizes)) and default.image_size in sizes and len(sizes) > 2
    for size in (*sizes[:2], sizes[-1]):
        assert build(name, image_size=size).image_sizes == sizes


def test_the_smallest_sizes_work_and_are_exact(name):
    for size in build(name).image_sizes[:2]:
        backbone = shake(build(name, image_size=size)).eval()
        assert bool(torch.isfinite(backbone(images(backbone))).all())
        if is_steerable(name) and backbone.is_invariant:
            assert_equivariant(backbone, dtypes=(torch.float64,), batch=1)


def test_sizes_outside_are_refused_and_the_nearest_valid_ones_named(name):
    sizes = build(name).image_sizes
    outside = sorted(set(range(1, sizes[2])) - set(sizes))
    assert outside[0] == 1
    for size in outside:
        with pytest.raises(InputError, match=f"image_size: expected .* got {size}; use ") as refused:
            build(name, image_size=size)
        named = [int(number) for number in re.findall(r"\d+", str(refused.value).rpartition("use ")[2])]
        assert set(named) <= set(sizes)
        assert min(abs(size - n) for n in named) == min(abs(size - n) for n in sizes)


@pytest.mark.parametrize(
    ("name", "group", "first", "step"),
    [
        ("steerable_resnet18", "D8", 17, 16),
        ("steerable_resnet18", "D3", 17, 16),  # D3 keeps a flip, so it is held to the lattice
        ("steerable_resnet18", "C3", 17, 1),  # C3 keeps nothing, so it is not
        ("steerable_attention", "C4", 17, 8),
        ("steerable_lenet", "C2", 5, 4),
        ("steerable_cnn", "D1", 17, 16),
        ("resnet18", "C1", 17, 1),
        ("lenet", "C1", 10, 1),
    ],
)
def test_known_sizes(name, group, first, step):
    backbone = create_backbone(name, group=group, image_size=65, width=0.02)
    assert backbone.image_sizes == list(range(first, 401, step))


def test_a_transformer_lists_what_its_memory_budget_allows():
    largest = build("steerable_transformer").image_sizes[-1]
    beyond = largest + 8
    with pytest.raises(InputError, match="attention memory per image"):
        build("steerable_transformer", image_size=beyond)
    assert beyond in build("steerable_transformer", memory_budget_mib=1e4).image_sizes
    assert build("steerable_transformer", window=1).image_sizes[-1] > largest


def test_a_flattening_head_takes_any_size():
    flat = build("steerable_lenet", head="flatten", image_size=34)
    assert flat.image_sizes[0] == 1 and {34, 35, 36} <= set(flat.image_sizes)
