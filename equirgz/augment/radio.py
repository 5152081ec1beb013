"""Views of radio sources that keep the class: what a telescope, a neighbour on the sky or a distance may change.

All amounts are relative to the image's own peak or on the sky, so that they mean the same whatever the images are
divided by and however they are sampled. Blank sky (0) stays 0 but where a companion lies. Legend: B batch,
C channel, H W pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from equirgz.augment.base import AUGMENTATIONS, Augmentation, Pose
from equirgz.augment.photometry import make_blur
from equirgz.augment.pose import check_range, draw_chance, draw_uniform, make_pose_drawer
from equirgz.errors import check_choice, require


@dataclass(frozen=True)
class Strength:
    """How much a radio view may change; the numbers of :func:`radio_ssl`, which explains them."""

    max_scale: float = 0.5
    max_stretch: float = 0.4
    max_gamma: float = 0.6
    max_shift_arcsec: float = 9.0
    companion_probability: float = 0.3
    block_probability: float = 0.3
    max_noise: float = 0.01
    max_cut: float = 0.0
    max_blur_arcsec: float = 0.0


STRENGTHS = {
    "mild": Strength(),
    "strong": Strength(
        max_scale=0.8, max_gamma=0.8, companion_probability=0.5, block_probability=0.5,
        max_noise=0.02, max_cut=0.1, max_blur_arcsec=2.4,
    ),
}  # fmt: skip
_RANGES = {"max_scale": 4.0, "max_stretch": 4.0, "max_gamma": 4.0, "max_shift_arcsec": 1e4, "max_blur_arcsec": 1e3}
_BLOCK_ARCSEC = (15.0, 45.0)  # sides of an erased block
_COMPANION_ARCSEC = (40.0, 100.0)  # distance of a companion from the centre
_COMPANION_SCALE, _COMPANION_PEAK = (0.5, 1.0), (0.2, 1.0)
_BLUR_PROBABILITY = 0.5


class RadioView(Augmentation):
    """The view of :func:`radio_ssl`: pose, companion, gamma, blur, noise and cut, erased block, disk.

    ``canvas`` is the side of the image that a view should be cut from, in sides of the view: data that know more
    sky than the network sees give that much, and what zooming out uncovers is real.
    """

    def __init__(
        self, strength: Strength, canvas: float, pixel_scale_arcsec: float, size_px: int | None, **mask: Any
    ) -> None:
        self.strength, self.pixel_scale_arcsec = strength, pixel_scale_arcsec
        self._turn = make_pose_drawer(max_angle_deg=180.0, flip_probability=0.5)
        super().__init__("radio_ssl", self._draw, size_px=size_px, **mask)
        self.canvas = canvas
        blur_px = strength.max_blur_arcsec / pixel_scale_arcsec
        self._blur = make_blur((1e-3, blur_px), _BLUR_PROBABILITY) if blur_px > 1e-3 else None

    def _draw(self, batch: int, size: int, generator: torch.Generator) -> Pose:
        pose, most = self._turn(batch, size, generator), self.strength
        scale_B = _draw_factor(batch, most.max_scale, generator)
        half_B = _draw_factor(batch, most.max_stretch, generator).sqrt()
        shift_px = most.max_shift_arcsec / self.pixel_scale_arcsec
        shift_B2 = draw_uniform((batch, 2), -shift_px, shift_px, generator)
        return replace(pose, scale_B2=torch.stack([scale_B * half_B, scale_B / half_B], -1), shift_px_B2=shift_B2)

    def _change(self, y_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        y_BCHW = self._bend(self._add_companions(y_BCHW, generator), generator)
        if self._blur is not None:
            y_BCHW = self._blur(y_BCHW, generator)
        return self._erase(self._add_noise(y_BCHW, generator), generator)

    def parts(self) -> dict[str, Augmentation]:
        """Return the turns and flips, and each amount with them, apart from the others."""
        nothing = Strength(**dict.fromkeys(vars(self.strength), 0.0))
        chosen = {"turns and flips": nothing} | {
            name: replace(nothing, **{name: value}) for name, value in vars(self.strength).items() if value > 0
        }
        options = {"mask": self.mask, "mask_margin_px": self.mask_margin_px}
        return {
            name: RadioView(part, self.canvas, self.pixel_scale_arcsec, self.size_px, **options)
            for name, part in chosen.items()
        }

    def with_maps(self, x_BCHW: Tensor, map_BKHW: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return views and maps turned alike; InputError where companions, which no map knows, may come in."""
        chance = self.strength.companion_probability
        require(chance == 0, "radio_ssl with maps", expected="companion_probability 0", got=chance)
        return super().with_maps(x_BCHW, map_BKHW, generator)

    def _add_companions(self, y_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        """Put another source of the batch beside some: the larger of both at every pixel, as far as they overlap."""
        batch, size = len(y_BCHW), y_BCHW.shape[-1]
        chosen_B = draw_chance(batch, self.strength.companion_probability, generator)
        step_B = draw_uniform(batch, 1.0, max(batch, 2), generator).long()
        pose = self._turn(batch, size, generator)
        scale_B = draw_uniform(batch, *_COMPANION_SCALE, generator)
        distance_B = draw_uniform(batch, *_COMPANION_ARCSEC, generator) / self.pixel_scale_arcsec
        angle_B = draw_uniform(batch, 0.0, 2 * math.pi, generator)
        share_B = draw_uniform(batch, *_COMPANION_PEAK, generator)
        index_b = torch.nonzero(chosen_B)[:, 0]
        if batch < 2 or len(index_b) == 0:
            return y_BCHW
        shift_B2 = distance_B[:, None] * torch.stack([torch.cos(angle_B), torch.sin(angle_B)], -1)
        pose = Pose(
            pose.angle_deg_B[index_b], pose.reflect_B[index_b], scale_B[index_b, None].expand(-1, 2), shift_B2[index_b]
        )
        own_b, other_b = (k.to(y_BCHW.device) for k in (index_b, (index_b + step_B[index_b]) % batch))
        z_bCHW = pose.apply(y_BCHW.index_select(0, other_b), size)
        top_b111 = z_bCHW.amax((1, 2, 3), keepdim=True)
        wanted_b111 = y_BCHW[own_b].amax((1, 2, 3), keepdim=True) * _spread(share_B[index_b], y_BCHW)
        factor_b111 = torch.where(top_b111 > 0, wanted_b111 / top_b111.clamp_min(1e-12), 0.0)
        return y_BCHW.index_copy(0, own_b, torch.maximum(y_BCHW[own_b], z_bCHW * factor_b111))

    def _bend(self, y_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        """``y = peak sign(x) (|x| / peak)^g``: contrast that leaves 0 and the peak where they are."""
        if self.strength.max_gamma == 0:
            return y_BCHW
        gamma_B111 = _spread(_draw_factor(len(y_BCHW), self.strength.max_gamma, generator), y_BCHW)
        peak_B111 = y_BCHW.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12)
        return peak_B111 * torch.sign(y_BCHW) * (y_BCHW.abs() / peak_B111) ** gamma_B111

    def _add_noise(self, y_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        """Add white noise of each sample's sigma, then zero what is below 3 sigma or the drawn cut."""
        most = self.strength
        if most.max_noise == 0 and most.max_cut == 0:
            return y_BCHW
        batch = len(y_BCHW)
        peak_B111 = y_BCHW.amax((1, 2, 3), keepdim=True).clamp_min(0)
        sigma_B111 = peak_B111 * _spread(draw_uniform(batch, 0.0, most.max_noise, generator), y_BCHW)
        cut_B111 = peak_B111 * _spread(draw_uniform(batch, 0.0, most.max_cut, generator), y_BCHW)
        if most.max_noise > 0:
            noise_BCHW = torch.randn(y_BCHW.shape, generator=generator, device=generator.device, dtype=torch.float32)
            y_BCHW = y_BCHW + sigma_B111 * noise_BCHW.to(y_BCHW)
        below_BCHW = y_BCHW < torch.maximum(3 * sigma_B111, cut_B111)
        return y_BCHW.masked_fill(below_BCHW, 0.0)

    def _erase(self, y_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        """Zero a rectangle, anywhere, in some samples."""
        batch, size = len(y_BCHW), y_BCHW.shape[-1]
        chosen_B = draw_chance(batch, self.strength.block_probability, generator)
        side_B2 = draw_uniform((batch, 2), *_BLOCK_ARCSEC, generator) / self.pixel_scale_arcsec
        centre_B2 = draw_uniform((batch, 2), -0.5, size - 0.5, generator)
        side_B2 = torch.where(chosen_B[:, None], side_B2, 0.0)
        place_H = torch.arange(size, dtype=centre_B2.dtype, device=centre_B2.device)
        inside_2BH = ((place_H - centre_B2.T[:, :, None]).abs() < side_B2.T[:, :, None] / 2).to(y_BCHW.device)
        inside_BHW = inside_2BH[0][:, :, None] & inside_2BH[1][:, None, :]
        return y_BCHW.masked_fill(inside_BHW[:, None], 0.0)


def _draw_factor(batch: int, most: float, generator: torch.Generator) -> Tensor:
    """Return exp(u), u uniform in [-log(1 + most), log(1 + most)]."""
    return torch.exp(draw_uniform(batch, -math.log1p(most), math.log1p(most), generator))


def _spread(value_B: Tensor, like: Tensor) -> Tensor:
    return value_B.to(device=like.device, dtype=like.dtype)[:, None, None, None]


@AUGMENTATIONS.register("radio_ssl")
def radio_ssl(
    *,
    strength: str = "mild",
    max_scale: float | None = None,
    max_stretch: float | None = None,
    max_gamma: float | None = None,
    max_shift_arcsec: float | None = None,
    companion_probability: float | None = None,
    block_probability: float | None = None,
    max_noise: float | None = None,
    max_cut: float | None = None,
    max_blur_arcsec: float | None = None,
    canvas: float = 1.5,
    pixel_scale_arcsec: float = 3.0,
    size_px: int | None = None,
    mask: bool = True,
    mask_margin_px: float = 0.0,
) -> Augmentation:
    """Views for training without labels: any turn, flips, scale, stretch, companion, gamma, blur, noise, erased block.

    Each was found to leave the FR class of most sources (``equirgz views`` measures it on yours). ``mild`` and
    ``strong`` set all amounts; what is given beside them replaces one. An image is interpolated once per view; a
    companion is the view of another source, turned once more.

    Parameters
    ----------
    strength : ``mild`` (0.5, 0.4, 0.6, 9, 0.3, 0.3, 0.01, 0, 0 for the nine amounts below, in their order) or
        ``strong`` (0.8, 0.4, 0.8, 9, 0.5, 0.5, 0.02, 0.1, 2.4).
    max_scale : magnification exp(u), u uniform in +-log(1 + max).
    max_stretch : ratio of the magnifications of columns and rows, drawn likewise, after the turn.
    max_gamma : exponent of brightness over peak, drawn likewise.
    max_shift_arcsec : shift along columns and rows, uniform in +-max, arcsec.
    companion_probability : chance that another source of the batch lies 40 to 100 arcsec from the centre, with
        0.5 to 1 of its size and 0.2 to 1 of the source's peak.
    block_probability : chance of an erased rectangle with sides of 15 to 45 arcsec, anywhere.
    max_noise : standard deviation of white noise, uniform in [0, max] of the peak; pixels below three of it become 0.
    max_cut : pixels below a share of the peak, uniform in [0, max], become 0.
    max_blur_arcsec : standard deviation of a Gaussian blur of half of the views, uniform in [0, max], arcsec.
    canvas : side of the image that views are cut from, in sides of the view, where the data know that much sky.
    pixel_scale_arcsec : of the images; a run gives that of its own where it is known, arcsec.
    size_px : side of the view, cut from the centre; None: the side of the input.

    Raises InputError for an amount out of range.
    """
    given = {
        "max_scale": max_scale, "max_stretch": max_stretch, "max_gamma": max_gamma,
        "max_shift_arcsec": max_shift_arcsec, "companion_probability": companion_probability,
        "block_probability": block_probability, "max_noise": max_noise, "max_cut": max_cut,
        "max_blur_arcsec": max_blur_arcsec,
    }  # fmt: skip
    chosen = STRENGTHS[check_choice("radio_ssl strength", strength, STRENGTHS)]
    chosen = replace(chosen, **{name: value for name, value in given.items() if value is not None})
    for part in fields(chosen):
        check_range(part.name, getattr(chosen, part.name), 0.0, _RANGES.get(part.name, 1.0))
    check_range("canvas", canvas, 1.0, 4.0)
    require(pixel_scale_arcsec > 0, "pixel_scale_arcsec", expected="a positive number", got=pixel_scale_arcsec)
    return RadioView(chosen, canvas, pixel_scale_arcsec, size_px, mask=mask, mask_margin_px=mask_margin_px)
