"""Groups too fine for a kernel: the two errors against closed forms, and what is refused."""

import time

import numpy as np
import pytest

from equirgz import create_backbone
from equirgz.errors import InputError
from equirgz.geometry.group import Group, get_group
from equirgz.nn import GroupConv2d
from equirgz.nn.conv.trivial import TrivialConv2d
from equirgz.nn.filters.basis import FilterBasis
from equirgz.nn.filters.resolution import aliasing_rms, check_resolution, turning_rms
from tests.field_types import regular, trivial


def test_aliasing_of_a_3x3_filter_by_hand():
    """Only cos 2 phi (on 4 edges, weight 1) and sin 2 phi (on 4 corners, weight w) alias: their squared
    norms are 2 / (1 + w^2) and 2 w^2 / (1 + w^2) about a mean of 1; four other functions have none."""
    w = np.exp(-0.5 * ((np.sqrt(2) - 1) / 0.4) ** 2)
    norms = np.sqrt(np.array([2.0, 2.0 * w**2]) / (1 + w**2))
    assert aliasing_rms(FilterBasis(3)) == pytest.approx(np.sqrt(((norms - 1) ** 2).sum() / 6), rel=1e-3)


@pytest.mark.parametrize("name", ["C5", "C16", "C64", "D16"])
def test_the_smallest_turn_of_a_3x3_filter_by_hand(name):
    """2 functions do not turn, 2 turn by 360 / N degrees and 2 by twice that."""
    n = get_group(name).n_rotations
    expected = np.sqrt((2 * 4 * np.sin(np.pi / n) ** 2 + 2 * 4 * np.sin(2 * np.pi / n) ** 2) / 6)
    assert turning_rms(FilterBasis(3), get_group(name)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kernel", [1, 3, 5, 9])
@pytest.mark.parametrize("name", ["C2", "C3", "C5", "C16", "D1", "D2", "D5", "D64", "C120"])
def test_the_smallest_turn_is_that_of_the_matrices(kernel, name):
    basis, group = FilterBasis(kernel), get_group(name)
    change_GKK = basis.action_GKK(group)[1:] - np.eye(len(basis))
    expected = np.linalg.norm(change_GKK, axis=(1, 2)).min() / np.sqrt(len(basis))
    assert turning_rms(basis, group) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("group", "mend"),
    [("C1000", "use kernel_size=21 or C112$"), ("D3000", "use D112$"), ("C100000", "use C112$")],
)
def test_far_too_fine_groups_are_refused_at_once(group, mend):
    start = time.process_time()
    with pytest.raises(InputError, match=mend):
        create_backbone("steerable_lenet", group=group)
    assert time.process_time() - start < 5


def test_aliasing_is_the_spread_of_a_turning_filters_norm():
    """What it measures: a filter with cos 2 phi turned by 45 degrees has another norm on pixels."""
    basis = FilterBasis(3)
    turned_GKP = basis.turned_GKP(get_group("C8"))
    norm_GK = np.linalg.norm(turned_GKP, axis=2)
    spread_K = norm_GK.max(0) - norm_GK.min(0)
    assert spread_K[-2:].min() > 0.4 and spread_K[:-2].max() < 1e-12
    assert aliasing_rms(FilterBasis(3, "pixel")) == 0.0


def test_larger_kernels_alias_less_and_turn_more():
    sizes, group = (3, 5, 7, 9), get_group("C64")
    aliasing = [aliasing_rms(FilterBasis(k)) for k in sizes]
    turning = [turning_rms(FilterBasis(k), group) for k in sizes]
    assert aliasing == sorted(aliasing, reverse=True) and turning == sorted(turning)


@pytest.mark.parametrize(
    ("kernel", "groups"),
    [
        (3, ("C2", "C3", "C8", "C16", "C32", "C54", "D1", "D8", "D16", "D32", "D54")),
        (5, ("D1", "D16", "D32", "C64", "D64", "C112")),
        (7, ("D16", "C64", "C112")),
        (9, ("C4", "D32")),
    ],
)
def test_groups_in_use_are_valid(kernel, groups):
    for name in groups:
        check_resolution(FilterBasis(kernel), get_group(name), lifting=True)


@pytest.mark.parametrize(
    ("kernel", "group", "message"),
    [
        (3, "C64", r"group C64 with 3x3 filters: expected .* 14\.7 %, got 12\.7 % .*; use kernel_size=5 or C54$"),
        (3, "D64", r"group D64 with 3x3 filters: expected .*; use kernel_size=5 or D54$"),
        (3, "C55", r"got 14\.7 % between the nearest; use kernel_size=5 or C54$"),
        (5, "C113", r"group C113 with 5x5 filters: .*; use kernel_size=7 or C112$"),
        (1, "C4", r"group C4 with 1x1 filters: .* 0\.0 %, got 0\.0 % .*; use kernel_size=3$"),
        (1, "D1", r"group D1 with 1x1 filters: .*; use kernel_size=3$"),
    ],
)
def test_groups_too_fine_are_refused_where_filters_are_made(kernel, group, message):
    with pytest.raises(InputError, match=message):
        GroupConv2d(trivial(group, 1), regular(group, 1), kernel)


def test_regular_fields_too_but_1x1_filters_only_mix_the_group():
    fine = Group(64, reflects=False)
    for layer, kind in ((GroupConv2d, regular), (TrivialConv2d, trivial)):
        with pytest.raises(InputError, match="use kernel_size=5 or C54"):
            layer(regular(fine, 1), kind(fine, 1), 3)
        layer(regular(fine, 1), kind(fine, 1), 1)
    TrivialConv2d(trivial(fine, 1), trivial(fine, 1), 3)
    GroupConv2d(trivial("C4", 1), regular("C4", 1), 1, basis="pixel")


def test_backbones_refuse_when_built():
    with pytest.raises(InputError, match="group C64 with 3x3 filters"):
        create_backbone("steerable_resnet18", group="C64", width=0.1)
    with pytest.raises(InputError, match="group C64 with 3x3 filters"):
        create_backbone("steerable_cnn", group="C64", width=0.1, kernel_sizes=[7, 3, 3, 3])
    create_backbone("steerable_resnet18", group="C32", width=0.1)
