"""Drawing one pose per sample from a generator. Legend: B batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from equirgz.augment.base import DrawPose, Pose
from equirgz.errors import InputError


def draw_uniform(shape: tuple[int, ...] | int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Return float64 numbers uniform in [low, high), on the generator's device."""
    shape = (shape,) if isinstance(shape, int) else shape
    u = torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float64)
    return low + (high - low) * u


def draw_chance(batch: int, probability: float, generator: torch.Generator) -> Tensor:
    """Return ``batch`` independent booleans that are true with ``probability``."""
    return draw_uniform(batch, 0.0, 1.0, generator) < probability


def check_range(name: str, value: float, low: float, high: float) -> float:
    """Return ``value`` when ``low <= value <= high``, else raise InputError."""
    if not (isinstance(value, (int, float)) and low <= value <= high):
        raise InputError(f"{name}: expected a number from {low:g} to {high:g}, got {value!r}")
    return value


def make_pose_drawer(
    *,
    max_angle_deg: float = 0.0,
    step_deg: float | None = None,
    flip_probability: float = 0.0,
    max_scale: float = 0.0,
    max_shift_px: float = 0.0,
    crop_area: tuple[float, float] | None = None,
    crop_ratio: float = 1.0,
) -> DrawPose:
    """Return a function that draws one :class:`Pose` per sample.

    Parameters
    ----------
    max_angle_deg : angles are uniform in [-max, max], degrees; 180 is every orientation.
    step_deg : round angles to multiples of this; 90 keeps to the pixel lattice and is exact.
    flip_probability : chance of a flip of the columns and, independently, of one of the rows. Both
        together are a half turn, added to the angle.
    max_scale : magnification exp(u), u uniform in [-log(1 + max), log(1 + max)].
    max_shift_px : shift uniform in [-max, max] along columns and rows, pixels.
    crop_area : (low, high) fraction of the image's area kept by a random crop that is then resized
        to the whole image: the window lies inside the image. Replaces scale and shift.
    crop_ratio : width to height of the crop is log-uniform in [1 / crop_ratio, crop_ratio].

    Raises InputError for values out of range.
    """
    check_range("max_angle_deg", max_angle_deg, 0.0, 180.0)
    check_range("flip_probability", flip_probability, 0.0, 1.0)
    check_range("max_scale", max_scale, 0.0, 10.0)
    check_range("max_shift_px", max_shift_px, 0.0, 1e4)
    check_range("crop_ratio", crop_ratio, 1.0, 10.0)
    if step_deg is not None:
        check_range("step_deg", step_deg, 1e-3, 180.0)
    if crop_area is not None:
        low, high = (check_range("crop_area", part, 1e-2, 1.0) for part in crop_area)
        if low > high:
            raise InputError(f"crop_area: expected low <= high, got {crop_area}")

    def draw(batch: int, size: int, generator: torch.Generator) -> Pose:
        angle_B = reflect_B = scale_B2 = shift_B2 = None
        if max_angle_deg > 0:
            angle_B = draw_uniform(batch, -max_angle_deg, max_angle_deg, generator)
            if step_deg is not None:
                angle_B = torch.round(angle_B / step_deg) * step_deg
        if flip_probability > 0:
            columns_B = draw_chance(batch, flip_probability, generator)
            rows_B = draw_chance(batch, flip_probability, generator)
            reflect_B = columns_B ^ rows_B
            half_turn_B = 180.0 * rows_B
            angle_B = half_turn_B if angle_B is None else angle_B + half_turn_B
        if crop_area is not None:
            scale_B2, shift_B2 = _draw_crop(batch, size, crop_area, crop_ratio, generator)
        else:
            if max_scale > 0:
                log_scale = math.log1p(max_scale)
                scale_B = torch.exp(draw_uniform(batch, -log_scale, log_scale, generator))
                scale_B2 = scale_B[:, None].expand(batch, 2)
            if max_shift_px > 0:
                shift_B2 = draw_uniform((batch, 2), -max_shift_px, max_shift_px, generator)
        return Pose(angle_B, reflect_B, scale_B2, shift_B2)

    return draw


def _draw_crop(
    batch: int, size: int, area: tuple[float, float], ratio: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    area_B = draw_uniform(batch, area[0], area[1], generator)
    log_ratio_B = draw_uniform(batch, -math.log(ratio), math.log(ratio), generator)
    place_B2 = draw_uniform((batch, 2), -0.5, 0.5, generator)
    stretch_B2 = torch.stack([torch.exp(log_ratio_B / 2), torch.exp(-log_ratio_B / 2)], -1)
    side_B2 = (area_B.sqrt()[:, None] * stretch_B2).clamp(max=1.0)
    scale_B2 = 1.0 / side_B2
    # The window's centre lies (1 - side) * place from the image's; the content moves the other way.
    return scale_B2, -(1.0 - side_B2) * place_B2 * size * scale_B2
