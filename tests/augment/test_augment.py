"""Augmentations: one draw per sample, exact where only pixels move, one mask for all."""

from __future__ import annotations

import pytest
import torch

from equirgz.augment import create_augmentation, list_augmentations
from equirgz.errors import InputError
from equirgz.evaluate.equivariance import make_smooth_images
from equirgz.geometry.action import disk_mask, turn_lattice

NAMES = list_augmentations()


def _rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _symmetries(x_CHW: torch.Tensor) -> list[torch.Tensor]:
    return [turn_lattice(x_CHW[None], k, f)[0] for f in (False, True) for k in range(4)]


def test_the_five_names_of_the_sweep_exist() -> None:
    assert {"none", "flips", "rotation", "rotation_flips", "full"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str) -> None:
    x = torch.rand(6, 2, 17, 17) + 0.1
    kept, state = x.clone(), torch.get_rng_state()
    augmentation = create_augmentation(name)
    y = augmentation(x, _rng())
    assert y.shape == x.shape and y.dtype == x.dtype and y is not x
    assert torch.equal(x, kept), "the input was changed in place"
    assert torch.equal(torch.get_rng_state(), state), "the global generator was used"
    assert torch.equal(y, augmentation(x, _rng())), "same generator state, different view"
    generator = _rng()
    first, second = augmentation(x, generator), augmentation(x, generator)
    assert (name == "none") == torch.equal(first, second)
    assert torch.all(y[:, :, disk_mask(17) == 0] == 0), "corners survive the mask"
    assert torch.isfinite(y).all()
    assert augmentation(x.double(), _rng()).dtype == torch.float64


@pytest.mark.parametrize("name", [n for n in NAMES if n != "none"])
def test_one_draw_per_sample(name: str) -> None:
    x = make_smooth_images(1, 33, seed=3, dtype=torch.float32).expand(64, 1, 33, 33)
    y = create_augmentation(name)(x, _rng())
    distinct = {tuple(v.flatten().tolist()) for v in y}
    assert len(distinct) == 4 if name == "flips" else len(distinct) > 30


def test_none_is_the_image_under_the_mask_and_mask_can_be_left_out() -> None:
    x = torch.rand(3, 1, 9, 9)
    assert torch.equal(create_augmentation("none")(x, _rng()), x * disk_mask(9))
    assert torch.equal(create_augmentation("none", mask=False)(x, _rng()), x)
    assert torch.equal(create_augmentation("none", mask_margin_px=1)(x, _rng()), x * disk_mask(9, 1.0))


@pytest.mark.parametrize(
    ("name", "params", "elements"),
    [
        ("flips", {}, {0, 2, 4, 6}),
        ("rotation", {"step_deg": 90}, {0, 1, 2, 3}),
        ("rotation_flips", {"step_deg": 90}, set(range(8))),
    ],
)
def test_lattice_turns_only_move_pixels_and_cover_their_group_evenly(
    name: str, params: dict, elements: set[int]
) -> None:
    n = 800
    x = torch.rand(1, 1, 8, 8).expand(n, 1, 8, 8)
    y = create_augmentation(name, mask=False, **params)(x, _rng())
    images = _symmetries(x[0])
    which = [next(g for g, image in enumerate(images) if torch.equal(v, image)) for v in y]
    counts = torch.bincount(torch.tensor(which), minlength=8)
    assert {g for g in range(8) if counts[g]} == elements
    expected = n / len(elements)
    chi2 = sum((counts[g].item() - expected) ** 2 / expected for g in elements)
    assert chi2 < 25  # 7 degrees of freedom: p < 1e-3


def test_rotation_draws_every_angle_and_keeps_within_its_limit() -> None:
    angle = create_augmentation("rotation").draw_pose(4000, 9, _rng()).angle_deg_B
    histogram = torch.histc(angle, 8, -180, 180)
    assert ((histogram - 500) ** 2 / 500).sum() < 25
    angle = create_augmentation("rotation", max_angle_deg=20).draw_pose(1000, 9, _rng()).angle_deg_B
    assert angle.abs().max() <= 20 and angle.abs().max() > 19


def test_a_view_is_one_interpolation_of_the_drawn_pose() -> None:
    """A turned smooth source equals the source evaluated at the turned place."""
    x = make_smooth_images(1, 65, seed=1, sigma_px=4.0)
    augmentation = create_augmentation("rotation_flips")
    pose = augmentation.draw_pose(1, 65, _rng(5))
    y = augmentation(x, _rng(5))
    truth = make_smooth_images(
        1, 65, seed=1, sigma_px=4.0, angle_deg=float(pose.angle_deg_B), reflect=bool(pose.reflect_B)
    )
    truth = truth * disk_mask(65)
    assert (y - truth).abs().max() < 0.015  # bilinear: curvature / 8 of Gaussians 4 px wide
    assert (x * disk_mask(65) - truth).abs().max() > 0.3


def test_masked_corners_do_not_tell_turned_from_unturned() -> None:
    x = torch.rand(200, 1, 21, 21) + 0.5
    for name in ("none", "rotation"):
        support = create_augmentation(name)(x, _rng()) > 0
        assert torch.equal(support, (disk_mask(21) > 0).expand_as(support))


def test_full_scales_shifts_and_brightens_within_its_limits() -> None:
    x = make_smooth_images(1, 65, seed=2, dtype=torch.float32).abs().expand(300, 1, 65, 65)
    augmentation = create_augmentation("full")
    pose = augmentation.draw_pose(300, 65, _rng())
    assert pose.scale_B2.min() >= 1 / 1.1 - 1e-9 and pose.scale_B2.max() <= 1.1 + 1e-9
    assert pose.scale_B2.std() > 0.03 and torch.equal(pose.scale_B2[:, 0], pose.scale_B2[:, 1])
    assert pose.shift_px_B2.abs().max() <= 3.0 and pose.shift_px_B2.std() > 1
    still = create_augmentation(
        "full", max_angle_deg=0, flip_probability=0, max_scale=0, max_shift_px=0, blur_probability=0
    )
    ratio = (still(x, _rng()).sum((1, 2, 3)) / (x * disk_mask(65)).sum((1, 2, 3))).double()
    assert 0.8 <= ratio.min() < 0.85 and 1.15 < ratio.max() <= 1.2 + 1e-5


def test_blur_is_gaussian_and_keeps_flux() -> None:
    from scipy.ndimage import gaussian_filter

    from equirgz.augment.photometry import make_blur

    x = torch.zeros(2, 2, 21, 21, dtype=torch.float64)
    x[:, 0, 10, 10], x[:, 1, 8, 12] = 1.0, 2.0
    y = make_blur((1.0, 1.0), probability=1.0, kernel_size=9)(x.clone(), _rng())
    expected = gaussian_filter(x.numpy(), (0, 0, 1.0, 1.0), mode="constant", truncate=4.0)
    assert abs(y.numpy() - expected).max() < 1e-12
    assert torch.allclose(y.sum((2, 3)), x.sum((2, 3)))


def test_generator_position_does_not_depend_on_what_was_drawn() -> None:
    """Turning an option's chance down must not shift later draws of the same stream."""
    x = torch.rand(16, 1, 9, 9)
    often, never = _rng(), _rng()
    create_augmentation("full", blur_probability=0.9)(x, often)
    create_augmentation("full", blur_probability=0.0)(x, never)
    assert torch.equal(often.get_state(), never.get_state())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: create_augmentation("rotatoin"), "did you mean 'rotation'"),
        (lambda: create_augmentation("rotation", max_angel_deg=3), "did you mean 'max_angle_deg'"),
        (lambda: create_augmentation("rotation", max_angle_deg=400), "max_angle_deg: expected a number from 0 to 180"),
        (lambda: create_augmentation("flips", flip_probability=1.5), "flip_probability"),
        (lambda: create_augmentation("none")(torch.rand(2, 1, 8, 9), _rng()), "square"),
        (lambda: create_augmentation("none")(torch.zeros(2, 1, 8, 8, dtype=torch.int64), _rng()), "float"),
        (lambda: create_augmentation("none")(torch.rand(2, 1, 8, 8), 3), "torch.Generator"),
    ],
)
def test_bad_input_is_one_clear_line(call, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
