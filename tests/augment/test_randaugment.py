"""RandAugment: operations against Pillow's, draws per sample, one interpolation, views of the recipes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from equirgz.augment import create_augmentation
from equirgz.augment.operations import OPERATIONS, equalize
from equirgz.augment.pose import make_pose_drawer
from equirgz.augment.randaugment import POOL
from equirgz.errors import InputError
from equirgz.evaluate.equivariance import make_smooth_images
from equirgz.geometry.action import disk_mask, turn_lattice, warp


def _rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _grey(seed: int) -> np.ndarray:
    """A noisy source on a dim background, without full black or white."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:33, :33] - 16
    source = 200 * np.exp(-(row**2 + 2 * column**2) / 60)
    return np.clip(source + rng.integers(3, 40, (33, 33)), 0, 255).astype(np.uint8)


PILLOW = {
    "autocontrast": lambda image, v: ImageOps.autocontrast(image),
    "brightness": lambda image, v: ImageEnhance.Brightness(image).enhance(0.05 + 0.9 * v),
    "contrast": lambda image, v: ImageEnhance.Contrast(image).enhance(0.05 + 0.9 * v),
    "sharpness": lambda image, v: ImageEnhance.Sharpness(image).enhance(0.05 + 0.9 * v),
    "equalize": lambda image, v: ImageOps.equalize(image),
    "posterize": lambda image, v: ImageOps.posterize(image, 4 + int(4 * v)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_equal_pillow(name: str) -> None:
    grey = np.stack([_grey(s) for s in range(3)])
    strength = [0.1, 0.55, 0.9]
    got = OPERATIONS[name](torch.as_tensor(grey / 255.0, dtype=torch.float32)[:, None], torch.tensor(strength))
    expected = np.stack([PILLOW[name](Image.fromarray(g), v) for g, v in zip(grey, strength, strict=True)])
    inside = np.s_[:, 1:-1, 1:-1]  # Pillow leaves the outermost pixels unsharpened
    levels_apart = np.abs(255 * got[:, 0].numpy() - expected)[inside].max()
    assert levels_apart < 1.51  # Pillow rounds to grey levels twice
    assert np.abs(got[:, 0].numpy() * 255 - grey).max() > 3, "nothing happened"


def test_equalize_leaves_nearly_blank_images_and_constant_ones() -> None:
    x = torch.zeros(2, 1, 9, 9)
    x[0, 0, 4, 4] = 1.0
    assert torch.equal(equalize(x, torch.ones(2)), x)
    assert torch.equal(OPERATIONS["autocontrast"](x, torch.ones(2))[1], x[1])


def test_every_operation_of_the_pool_is_drawn_about_equally() -> None:
    x = make_smooth_images(1, 33, seed=0, dtype=torch.float32).abs().clamp(0, 1).expand(600, 1, 33, 33)
    same = create_augmentation("strong", n_operations=1, max_angle_deg=0, flip_probability=0, mask=False)(x, _rng())
    untouched = (same == x).flatten(1).all(1).float().mean()
    assert 1 / len(POOL) - 0.05 < untouched < 2.5 / len(POOL)  # identity, and autocontrast of full-range images


def test_geometric_operations_join_the_pose() -> None:
    x = make_smooth_images(200, 33, seed=0)
    augmentation = create_augmentation(
        "strong", n_operations=1, pool=("shear_columns",), max_angle_deg=0, flip_probability=0, mask=False
    )
    y = augmentation(x, _rng())
    centre_row = y[:, :, 16]
    assert torch.allclose(centre_row, x[:, :, 16], atol=1e-12)  # shearing columns leaves the central row
    assert (y - x).abs().max() > 0.1
    only_turn = create_augmentation("strong", n_operations=0, mask=False)(x, _rng(3))
    assert torch.allclose(only_turn, create_augmentation("weak", mask=False)(x, _rng(3)))


def test_shear_is_the_map_it_says() -> None:
    x = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    x[0, 0, 2, 4] = 1.0  # two rows above the centre
    y = warp(x, shear_B2=torch.tensor([[0.5, 0.0]]))
    assert y[0, 0, 2, 3] == pytest.approx(1.0)  # moved by 0.5 * (-2) columns
    y = warp(turn_lattice(x, 1), shear_B2=torch.tensor([[0.0, 0.5]]))
    assert y[0, 0, 3, 2] == pytest.approx(1.0)


def test_resized_crop_keeps_its_window_inside_and_covers_its_area() -> None:
    pose = make_pose_drawer(crop_area=(0.3, 0.6), crop_ratio=4 / 3)(4000, 70, _rng())
    side = 1 / pose.scale_B2
    area, ratio = side.prod(1), side[:, 0] / side[:, 1]
    assert 0.3 - 1e-9 < area.min() < 0.31 and 0.59 < area.max() <= 0.6 + 1e-9
    assert 0.75 - 1e-9 < ratio.min() < 0.77 and 1.3 < ratio.max() < 4 / 3 + 1e-9
    centre = -pose.shift_px_B2 / pose.scale_B2  # of the window, from the image's centre, pixels
    assert (centre.abs() + 35 * side).max() <= 35 + 1e-9
    x = torch.rand(1, 1, 70, 70, dtype=torch.float64)
    y = warp(x.expand(50, 1, 70, 70), 0.0, False, pose.scale_B2[:50], pose.shift_px_B2[:50])
    assert (y[:, :, 2:-2, 2:-2] > 0).all()  # nothing from outside the image


def test_byol_view_changes_brightness_and_keeps_the_sky_blank_without_contrast() -> None:
    x = make_smooth_images(1, 33, seed=1, dtype=torch.float32).abs().expand(50, 1, 33, 33).clone()
    y = create_augmentation("byol_radio")(x, _rng())
    assert y.amax((1, 2, 3)).std() > 0.05
    sky = create_augmentation("byol_radio", contrast=0.0)(torch.zeros(5, 1, 33, 33), _rng())
    assert torch.equal(sky, torch.zeros_like(sky))


def test_a_central_cut_joins_the_same_interpolation() -> None:
    x = torch.rand(3, 1, 30, 30, dtype=torch.float64)
    angle = torch.tensor([17.0, 90.0, -200.0])
    assert torch.allclose(warp(x, angle, True, out_size=20), warp(x, angle, True)[..., 5:25, 5:25], atol=1e-12)
    assert torch.equal(warp(x, 90.0, out_size=20), turn_lattice(x, 1)[..., 5:25, 5:25])
    assert torch.allclose(warp(x, 0.0, out_size=32)[..., 1:-1, 1:-1], x, atol=1e-12)
    assert warp(x, 90.0, out_size=21).shape == (3, 1, 21, 21)
    y = create_augmentation("byol_radio", size_px=20, mask=False, brightness=0, contrast=0)(x + 1, _rng())
    assert y.shape == (3, 1, 20, 20) and y.min() > 0.9  # no blank corner: the turned image reaches beyond the cut


def test_strong_is_stronger_than_weak() -> None:
    """Weak views keep the distribution of fluxes; strong ones do not."""
    x = make_smooth_images(1, 33, seed=1, dtype=torch.float32).abs().expand(100, 1, 33, 33) * disk_mask(33)
    flux = {name: create_augmentation(name)(x, _rng()).sum((1, 2, 3)) / x[0].sum() for name in ("weak", "strong")}
    assert flux["weak"].std() < 0.02 < 0.2 < flux["strong"].std()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"pool": ("solarize",)}, "unknown 'solarize'"),
        ({"pool": ()}, "at least one"),
        ({"n_operations": -1}, "n_operations"),
        ({"magnitude": 10}, "magnitude"),
    ],
)
def test_bad_options(params: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        create_augmentation("strong", **params)
