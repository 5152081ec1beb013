"""The registered augmentations. All take ``mask`` and ``mask_margin_px`` (see Augmentation)."""

from __future__ import annotations

from equirgz.augment.base import AUGMENTATIONS, Augmentation
from equirgz.augment.photometry import make_blur, make_brightness
from equirgz.augment.pose import make_pose_drawer


@AUGMENTATIONS.register("none")
def none(*, mask: bool = True, mask_margin_px: float = 0.0) -> Augmentation:
    """The image as it is, under the shared mask."""
    return Augmentation("none", mask=mask, mask_margin_px=mask_margin_px)


@AUGMENTATIONS.register("flips")
def flips(*, flip_probability: float = 0.5, mask: bool = True, mask_margin_px: float = 0.0) -> Augmentation:
    """Flips of columns and of rows, each by its own chance; only moves pixels."""
    draw = make_pose_drawer(flip_probability=flip_probability)
    return Augmentation("flips", draw, mask=mask, mask_margin_px=mask_margin_px)


@AUGMENTATIONS.register("rotation")
def rotation(
    *,
    max_angle_deg: float = 180.0,
    step_deg: float | None = None,
    mask: bool = True,
    mask_margin_px: float = 0.0,
) -> Augmentation:
    """A turn by any angle; with ``step_deg=90`` quarter turns alone, which only move pixels."""
    draw = make_pose_drawer(max_angle_deg=max_angle_deg, step_deg=step_deg)
    return Augmentation("rotation", draw, mask=mask, mask_margin_px=mask_margin_px)


@AUGMENTATIONS.register("rotation_flips")
def rotation_flips(
    *,
    max_angle_deg: float = 180.0,
    step_deg: float | None = None,
    flip_probability: float = 0.5,
    mask: bool = True,
    mask_margin_px: float = 0.0,
) -> Augmentation:
    """A turn by any angle and flips; with ``step_deg=90`` the exact action of D_4."""
    draw = make_pose_drawer(max_angle_deg=max_angle_deg, step_deg=step_deg, flip_probability=flip_probability)
    return Augmentation("rotation_flips", draw, mask=mask, mask_margin_px=mask_margin_px)


@AUGMENTATIONS.register("full")
def full(
    *,
    max_angle_deg: float = 180.0,
    flip_probability: float = 0.5,
    max_scale: float = 0.1,
    max_shift_px: float = 3.0,
    brightness: float = 0.2,
    blur_sigma_px: tuple[float, float] = (0.1, 1.0),
    blur_probability: float = 0.3,
    mask: bool = True,
    mask_margin_px: float = 0.0,
) -> Augmentation:
    """A turn, flips, magnification by up to 10 %, a shift (a crop of the same size), brightness, blur."""
    draw = make_pose_drawer(
        max_angle_deg=max_angle_deg,
        flip_probability=flip_probability,
        max_scale=max_scale,
        max_shift_px=max_shift_px,
    )
    photometry = (make_brightness(brightness), make_blur(tuple(blur_sigma_px), blur_probability))
    return Augmentation("full", draw, photometry, mask=mask, mask_margin_px=mask_margin_px)
