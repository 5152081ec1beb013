"""Equivariance errors: exact toys read zero, plain nets do not; smooth sources turn without interpolation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from equirgz.errors import InputError
from equirgz.evaluate.equivariance import (
    compute_outputs,
    equivariance_error,
    find_element,
    make_smooth_images,
    relative_l2,
)
from equirgz.geometry.action import turn_lattice, warp
from equirgz.geometry.group import get_group
from tests.evaluate.networks import PlainConv, ToyD4

pytestmark = pytest.mark.rounding


def test_smooth_sources_turn_as_the_lattice_does_and_as_warp_does() -> None:
    x = make_smooth_images(3, 33, seed=4)
    assert x.shape == (3, 1, 33, 33) and torch.allclose(x.abs().amax((1, 2, 3)), torch.ones(3, dtype=torch.float64))
    for k in range(4):
        for reflect in (False, True):
            turned = make_smooth_images(3, 33, seed=4, angle_deg=90.0 * k, reflect=reflect)
            assert torch.allclose(turned, turn_lattice(x, k, reflect), atol=1e-12)
    turned = make_smooth_images(3, 33, seed=4, angle_deg=33.0, reflect=True)
    assert relative_l2(warp(x, 33.0, True, mode="bicubic"), turned) < 0.02
    assert relative_l2(warp(x, -33.0, True, mode="bicubic"), turned) > 0.5


def test_an_equivariant_network_is_exact_on_the_lattice_and_a_plain_one_is_not() -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 1, 17, 17)
    rows = equivariance_error(ToyD4(), x, (0, 90, 180, 270), (False, True))
    assert len(rows) == 16 and {r["what"] for r in rows} == {"features", "maps"}
    assert max(r["relative_l2"] for r in rows) < 1e-6
    worst = max(r["relative_l2"] for r in equivariance_error(PlainConv(), x, (90,)))
    assert worst > 0.05


def test_off_the_group_only_features_are_compared_and_maps_need_elements() -> None:
    torch.manual_seed(0)
    rows = equivariance_error(ToyD4(), make_smooth_images(2, 33, dtype=torch.float32), (45.0, 90.0))
    assert [(r["what"], r["angle_deg"]) for r in rows] == [("features", 45.0), ("features", 90.0), ("maps", 90.0)]
    assert 1e-5 < rows[0]["relative_l2"] < 0.2


def test_layers_are_named_and_the_broken_one_shows() -> None:
    class Stack(nn.Module):
        """Two trivial-field layers: the first symmetric, the second not."""

        def __init__(self) -> None:
            super().__init__()
            self.group = get_group("C4")
            self.first, self.second = nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 3, padding=1)

        def blocks(self) -> list[nn.Module]:
            return [self.first, self.second]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(self.first(x)).relu().mean((2, 3))

    torch.manual_seed(0)
    net = Stack()
    rows = {r["what"]: r["relative_l2"] for r in equivariance_error(net, torch.rand(2, 1, 9, 9), (90,), layers=True)}
    assert rows["block 0: Conv2d"] < 1e-6 < 1e-2 < rows["block 1: Conv2d"]
    assert not net.first._forward_hooks and not net.second._forward_hooks


def test_blocks_of_a_plain_network_turn_as_scalars_at_every_angle() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 3, padding=1)

        def blocks(self) -> list[nn.Module]:
            return [self.first, self.second]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(self.first(x)).mean((2, 3))

    torch.manual_seed(0)
    net, x = Plain().double(), make_smooth_images(2, 33)
    net.first.bias.data.zero_()  # else what is outside the image would not stay 0
    error = {(r["what"][:7], r["angle_deg"], r["reflect"]): r["relative_l2"]
             for r in equivariance_error(net, x, (30.0, 90.0), (False, True), layers=True)}  # fmt: skip
    for reflect in (False, True):
        assert error["block 0", 90.0, reflect] < 1e-12 and error["block 0", 30.0, reflect] < 1e-2
        assert error["block 1", 90.0, reflect] > 0.1 and error["block 1", 30.0, reflect] > 0.02


def test_hooks_are_removed_even_when_the_network_fails() -> None:
    class Broken(ToyD4):
        def blocks(self) -> list[nn.Module]:
            return [self.norm]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            super().forward(x)
            raise RuntimeError("stop")

    net = Broken()
    with pytest.raises(RuntimeError, match="stop"):
        compute_outputs(net, torch.rand(1, 1, 9, 9), layers=True)
    assert not net.norm._forward_hooks


def test_mode_is_restored_and_elements_are_found() -> None:
    net = ToyD4()
    equivariance_error(net, torch.rand(2, 1, 9, 9))
    assert net.training and int(net.norm.num_batches_tracked) == 0
    d8 = get_group("D8")
    assert [find_element(d8, a, f) for a, f in ((45, False), (-45, False), (360, True), (30, False))] == [1, 7, 8, None]
    assert find_element(get_group("C4"), 0.0, True) is None


def test_a_network_that_answers_zero_has_no_error() -> None:
    """None, an undefined number of a result row: neither 0, which would be perfect, nor NaN, which JSON has not."""
    net = ToyD4()
    net.norm.bias.data.fill_(-100.0)
    rows = equivariance_error(net, torch.rand(2, 1, 9, 9), (90,))
    assert {row["what"] for row in rows} == {"features", "maps"} and all(row["relative_l2"] is None for row in rows)


def test_relative_l2_edges_and_bad_shapes() -> None:
    zero, one = torch.zeros(3), torch.ones(3)
    assert math.isnan(relative_l2(zero, zero)) and relative_l2(one, zero) == float("inf")
    assert relative_l2(1.5 * one, one) == pytest.approx(0.5)
    with pytest.raises(InputError, match="B, C, H, H"):
        equivariance_error(ToyD4(), torch.rand(2, 1, 8, 9))
