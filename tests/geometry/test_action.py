"""The one action: laws, exactness, one interpolation."""

import math

import pytest
import torch

from equirgz.errors import InputError
from equirgz.geometry.action import apply_element, apply_element_to_maps, disk_mask, turn_lattice, warp
from equirgz.geometry.group import get_group


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_elements_compose_as_the_product_table_says():
    group, x_BCHW = get_group("D4"), noise(2, 1, 9, 9)
    for g in range(group.order):
        for h in range(group.order):
            twice = apply_element(apply_element(x_BCHW, group, h), group, g)
            assert torch.equal(twice, apply_element(x_BCHW, group, int(group.product_GG[g, h])))


def test_maps_compose_as_the_product_table_says():
    group, maps = get_group("D4"), noise(2, 3, 8, 5, 5)
    for g in range(group.order):
        for h in range(group.order):
            twice = apply_element_to_maps(apply_element_to_maps(maps, group, h), group, g)
            assert torch.equal(twice, apply_element_to_maps(maps, group, int(group.product_GG[g, h])))


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("reflect", [False, True])
def test_quarter_turns_only_move_pixels_and_continue_the_interpolated_path(turns, reflect):
    x_BCHW = noise(2, 1, 11, 11)
    exact = warp(x_BCHW, 90.0 * turns, reflect)
    assert torch.equal(exact, turn_lattice(x_BCHW, turns, reflect))
    nearly = warp(x_BCHW, 90.0 * turns + 1e-4, reflect)
    torch.testing.assert_close(nearly[..., 1:-1, 1:-1], exact[..., 1:-1, 1:-1], atol=1e-4, rtol=0)


def test_each_image_gets_its_own_warp():
    x_BCHW = noise(3, 1, 9, 9)
    angle_B, flip_B = torch.tensor([90.0, 33.0, 180.0]), torch.tensor([True, False, False])
    together = warp(x_BCHW, angle_B, flip_B)
    for i in range(3):
        torch.testing.assert_close(together[i : i + 1], warp(x_BCHW[i : i + 1], float(angle_B[i]), bool(flip_B[i])))


def test_shift_and_scale_move_and_magnify_the_content():
    x_BCHW = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    x_BCHW[0, 0, 4, 4] = 1.0
    shifted = warp(x_BCHW, shift_px_B2=torch.tensor([[2.0, 1.0]]))
    assert shifted[0, 0, 5, 6] == pytest.approx(1.0)
    row = torch.linspace(-1, 1, 9, dtype=torch.float64).expand(1, 1, 9, 9)
    magnified = warp(row, scale_B=2.0)
    torch.testing.assert_close(magnified[0, 0, 4, 2:7], row[0, 0, 4, 2:7] / 2)


def test_a_turn_of_a_smooth_image_is_the_analytic_one():
    axis = torch.arange(65, dtype=torch.float64) - 32
    y, x = torch.meshgrid(-axis, axis, indexing="ij")

    def blob(angle_deg):
        a = math.radians(angle_deg)
        u, v = x * math.cos(a) + y * math.sin(a), -x * math.sin(a) + y * math.cos(a)
        return torch.exp(-((u - 8) ** 2) / 120 - v**2 / 30)[None, None]

    for angle_deg in (17.0, 45.0, 100.0):
        error = (warp(blob(0.0), angle_deg) - blob(angle_deg)).norm() / blob(0.0).norm()
        assert error < 0.02
    assert (warp(blob(0.0), 17.0) - blob(-17.0)).norm() > 0.3 * blob(0.0).norm()


def test_disk_mask_is_symmetric_and_inscribed():
    for size in (8, 9):
        mask = disk_mask(size)
        for turns in range(4):
            assert torch.equal(mask, torch.rot90(mask, turns)) and torch.equal(mask, mask.flip(-1))
        assert mask[0, 0] == 0 and mask[size // 2, 0] == 1 - (size % 2 == 0) * (1 - mask[size // 2, 0])


def test_oblong_images_are_refused():
    with pytest.raises(InputError, match="square"):
        warp(torch.zeros(1, 1, 4, 5))
