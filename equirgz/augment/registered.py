"""The registered augmentations. All take ``mask`` and ``mask_margin_px`` (see Augmentation)."""

from __future__ import annotations

from equirgz.augment.base import AUGMENTATIONS, Augmentation
from equirgz.augment.photometry import make_blur, make_brightness, make_jitter
from equirgz.augment.pose import make_pose_drawer
from equirgz.augment.randaugment import POOL, RandAugment
from equirgz.registry import explained_by


@AUGMENTATIONS.register("none")
def none(*, mask: bool = True, mask_margin_px: float = 0.0) -> Augmentation:
    """The image as it is, under the shared mask."""
    return Augmentation("none", mask=mask, mask_margin_px=mask_margin_px)


@AUGMENTATIONS.register("flips")
@explained_by(make_pose_drawer)
def flips(*, flip_probability: float = 0.5, mask: bool = True, mask_margin_px: float = 0.0) -> Augmentation:
    """Flips of columns and of rows, each by its own chance; only moves pixels."""
    draw = make_pose_drawer(flip_probability=flip_probability)
    return Augmentation("flips", draw, mask=mask, mask_margin_px=mask_margin_px)


@AUGMENTATIONS.register("rotation")
@explained_by(make_pose_drawer)
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
@explained_by(make_pose_drawer)
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
@explained_by(make_pose_drawer, make_jitter, blur_=make_blur)
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


@AUGMENTATIONS.register("weak")
@explained_by(make_pose_drawer)
def weak(
    *,
    max_angle_deg: float = 180.0,
    flip_probability: float = 0.5,
    mask: bool = True,
    mask_margin_px: float = 0.0,
) -> Augmentation:
    """The weak view of FixMatch on radio sources (arXiv 2111.04357): a turn by any angle and flips."""
    draw = make_pose_drawer(max_angle_deg=max_angle_deg, flip_probability=flip_probability)
    return Augmentation("weak", draw, mask=mask, mask_margin_px=mask_margin_px)


@AUGMENTATIONS.register("strong")
@explained_by(make_pose_drawer, RandAugment)
def strong(
    *,
    n_operations: int = 2,
    magnitude: float = 1.0,
    pool: tuple[str, ...] = POOL,
    max_angle_deg: float = 180.0,
    flip_probability: float = 0.5,
    mask: bool = True,
    mask_margin_px: float = 0.0,
) -> Augmentation:
    """The strong view of FixMatch on radio sources (arXiv 2111.04357): the weak one, then RandAugment.

    ``pool`` may be any part of :data:`equirgz.augment.randaugment.POOL`; images are in [0, 1].
    """
    return RandAugment(
        "strong",
        n_operations=n_operations,
        magnitude=magnitude,
        pool=tuple(pool),
        max_angle_deg=max_angle_deg,
        flip_probability=flip_probability,
        mask=mask,
        mask_margin_px=mask_margin_px,
    )


@AUGMENTATIONS.register("byol_radio")
@explained_by(make_pose_drawer, make_jitter, jitter_=make_jitter, blur_=make_blur)
def byol_radio(
    *,
    max_angle_deg: float = 180.0,
    flip_probability: float = 0.5,
    crop_area: tuple[float, float] = (0.8, 1.0),
    crop_ratio: float = 4.0 / 3.0,
    brightness: float = 0.4,
    contrast: float = 0.4,
    jitter_probability: float = 0.8,
    blur_sigma_px: tuple[float, float] = (0.1, 2.0),
    blur_probability: float = 0.1,
    mask: bool = True,
    mask_margin_px: float = 0.0,
    size_px: int | None = None,
    interpolation: str = "bilinear",
) -> Augmentation:
    """The view of the radio BYOL recipe (arXiv 2305.16127): turn, resized crop, flips, jitter, blur.

    Turn and crop are one interpolation here, bilinear unless ``interpolation="nearest"``; the published code turned
    by nearest pixels and then resized. Its central crop of 150 to 70 pixels is ``size_px=70``, or the data section's
    ``crop``.
    As published, contrast turns about the image's mean, which lifts blank sky off zero and so tells views of one
    image by their sky; the contrast of ``radio_ssl`` leaves it at zero.
    """
    draw = make_pose_drawer(
        max_angle_deg=max_angle_deg,
        flip_probability=flip_probability,
        crop_area=tuple(crop_area),
        crop_ratio=crop_ratio,
    )
    photometry = (
        make_jitter(brightness, contrast, jitter_probability),
        make_blur(tuple(blur_sigma_px), blur_probability),
    )
    options = {"mask": mask, "mask_margin_px": mask_margin_px, "size_px": size_px, "interpolation": interpolation}
    return Augmentation("byol_radio", draw, photometry, **options)
