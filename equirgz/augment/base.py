"""One augmentation = one pose per sample, changes of brightness, and the shared disk mask.

A view of image ``x`` is ``mask * photometry(warp(x; pose))``: the pose (reflection, angle,
magnification, shift) is applied by :func:`equirgz.geometry.action.warp` in ONE interpolation, and
poses that only move pixels (flips, quarter turns) are exact. Maps that belong to the image (masks of its parts, a true
image) go through the same warp and mask, and through no change of brightness. The mask is the same for every
augmentation, ``none`` included, so a blank corner never tells that an image was turned.
Legend: B batch, C channel, H W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from equirgz.errors import InputError, check_choice
from equirgz.geometry.action import as_floats, disk_mask, warp
from equirgz.images import is_row
from equirgz.registry import Registry

AUGMENTATIONS: Registry = Registry("augmentation", ("equirgz.augment.registered", "equirgz.augment.radio"))


@dataclass(frozen=True)
class Pose:
    """Where each sample of a batch is put; None means unchanged.

    ``angle_deg_B`` degrees; ``reflect_B`` bool; ``scale_B2`` magnification of columns and rows;
    ``shift_px_B2`` pixels by which the content moves along columns and rows; ``shear_B2`` as in warp.
    """

    angle_deg_B: Tensor | None = None
    reflect_B: Tensor | None = None
    scale_B2: Tensor | None = None
    shift_px_B2: Tensor | None = None
    shear_B2: Tensor | None = None

    def is_identity(self) -> bool:
        """Return whether nothing was drawn."""
        return all(getattr(self, part.name) is None for part in fields(self))

    def apply(self, x_BCHW: Tensor, out_size: int | None = None, mode: str = "bilinear") -> Tensor:
        """Return the images at this pose, by one interpolation of ``mode``, ``out_size`` pixels from the centre."""
        if self.is_identity() and out_size in (None, x_BCHW.shape[-1]):
            return x_BCHW
        return warp(
            x_BCHW,
            0.0 if self.angle_deg_B is None else self.angle_deg_B,
            False if self.reflect_B is None else self.reflect_B,
            1.0 if self.scale_B2 is None else self.scale_B2,
            self.shift_px_B2,
            mode,
            shear_B2=self.shear_B2,
            out_size=out_size,
        )


DrawPose = Callable[[int, int, torch.Generator], Pose]  # (batch, size in pixels, generator)
Photometry = Callable[[Tensor, torch.Generator], Tensor]
Change = Callable[[Tensor], Tensor]


class Augmentation:
    """A registered augmentation: ``view_BCHW = augmentation(x_BCHW, generator)``.

    Parameters
    ----------
    name : registered name.
    draw_pose : draws one pose per sample from the generator; None leaves every pixel where it is.
    photometry : functions of (x_BCHW, generator), applied in order after the warp; they may work in place.
    mask : multiply by the inscribed disk.
    mask_margin_px : how far the disk's rim lies inside the image's border, pixels.
    size_px : side of the view, cut from the centre of the turned image, so that its corners show
        what lies outside the cut and not blanks; None: the side of the input.
    interpolation : of the warp of images: bilinear, or nearest, which is sooner and rougher.

    ``canvas`` is the side of the images that views want to be cut from, in sides of the view (1: no wider).
    """

    canvas: float = 1.0

    def __init__(
        self,
        name: str,
        draw_pose: DrawPose | None = None,
        photometry: tuple[Photometry, ...] = (),
        *,
        mask: bool = True,
        mask_margin_px: float = 0.0,
        size_px: int | None = None,
        interpolation: str = "bilinear",
    ) -> None:
        self.name = name
        self.interpolation = check_choice("interpolation", interpolation, ("bilinear", "nearest"))
        self.photometry = photometry
        self.mask = mask
        self.mask_margin_px = mask_margin_px
        self.size_px = size_px
        self._draw_pose = draw_pose

    def draw_pose(self, batch: int, size: int, generator: torch.Generator) -> Pose:
        """Draw the poses of ``batch`` samples of ``size`` pixels; all randomness of the warp is here."""
        return Pose() if self._draw_pose is None else self._draw_pose(batch, size, generator)

    def draw(self, batch: int, size: int, generator: torch.Generator) -> tuple[Pose, Change]:
        """Draw the poses of ``batch`` samples of ``size`` pixels, and return with them what follows the warp."""
        return self.draw_pose(batch, size, generator), lambda y_BCHW: self._change(y_BCHW, generator)

    def _change(self, y_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        for change in self.photometry:
            y_BCHW = change(y_BCHW, generator)
        return y_BCHW

    def __call__(self, x_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        """Return one view of every image, on its device and in its type; the input is left alone.

        Bytes (uint8) become float32 in [0, 1]: their views are those of ``x_BCHW / 255``.
        NaN pixels stay NaN and spread to the pixels interpolated from them. A generator on the CPU
        serves any device, and its draws are the same on all of them.

        Raises InputError for anything but a float batch of square images, or without a generator.
        """
        return self._view(x_BCHW, None, generator)[0]

    def with_maps(self, x_BCHW: Tensor, map_BKHW: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return one view of every image, as a call does, and its maps turned by the same warp.

        A pixel of a map that comes in part from NaN or from outside of the image is NaN; outside the mask it is 0.
        Raises InputError, beside the reasons of a call, for maps of another number or side than the images.
        """
        if map_BKHW.ndim != 4 or len(map_BKHW) != len(x_BCHW) or map_BKHW.shape[-2:] != x_BCHW.shape[-2:]:
            size = tuple(x_BCHW.shape[-2:])
            expected = f"maps ({len(x_BCHW)}, K, {size[0]}, {size[1]}) in register with the images"
            raise InputError(f"augmentation {self.name!r}", expected=expected, got=tuple(map_BKHW.shape))
        dtype = torch.float32 if x_BCHW.dtype == torch.uint8 else x_BCHW.dtype
        return self._view(x_BCHW, map_BKHW.to(x_BCHW.device, dtype), generator)

    def _view(self, x_BCHW: Tensor, map_BKHW: Tensor | None, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        what = f"augmentation {self.name!r}"
        check_images(what, x_BCHW)
        if not isinstance(generator, torch.Generator):
            mend = "pass torch.Generator().manual_seed(seed)"
            raise InputError(what, expected="a torch.Generator", got=type(generator).__name__, mend=mend)
        size = self.size_px or x_BCHW.shape[-1]
        pose, change = self.draw(x_BCHW.shape[0], size, generator)
        row = is_row(tuple(x_BCHW.shape))
        if row and (self.mask or self.photometry or not pose.is_identity()):
            mend = "use the augmentation none, and data.mask: false"
            got = f"rows {tuple(x_BCHW.shape)} such as spectra, which are not turned or masked"
            raise InputError(what, expected="square images", got=got, mend=mend)
        y_BCHW = pose.apply(x_BCHW, size, self.interpolation)
        if x_BCHW.dtype == torch.uint8:
            y_BCHW = as_floats(y_BCHW).mul_(1 / 255)
        turned_BKHW = y_BCHW if map_BKHW is None else _turn_maps(pose, map_BKHW, size)
        y_BCHW = change(y_BCHW.clone() if y_BCHW is x_BCHW else y_BCHW)
        if not self.mask:
            return y_BCHW, turned_BKHW
        disk_HW = disk_mask(y_BCHW.shape[-1], self.mask_margin_px, like=y_BCHW)
        if map_BKHW is not None:
            turned_BKHW = torch.where(disk_HW > 0, turned_BKHW, 0)
        return y_BCHW.mul_(disk_HW), turned_BKHW

    def parts(self) -> dict[str, Augmentation]:
        """Return what this augmentation is made of, each alone, by name; nothing where it does not say."""
        return {}

    def __repr__(self) -> str:
        return f"Augmentation({self.name!r})"


def _turn_maps(pose: Pose, map_BKHW: Tensor, size: int) -> Tensor:
    """Return maps at a pose, NaN where a pixel comes in part from what is not known or from outside."""
    known_BKHW = torch.isfinite(map_BKHW)
    both = torch.cat([map_BKHW.nan_to_num(), known_BKHW.to(map_BKHW)], 1)
    turned_BKHW, share_BKHW = pose.apply(both, size).chunk(2, 1)
    return torch.where(share_BKHW > 1 - 1e-4, turned_BKHW, torch.nan)


def check_images(what: str, x_BCHW: Tensor) -> None:
    """Raise InputError unless ``x_BCHW`` is a float or uint8 tensor (B, C, H, H), or of rows (B, C, 1, L)."""
    shape = tuple(x_BCHW.shape)
    if not x_BCHW.is_floating_point() and x_BCHW.dtype != torch.uint8:
        raise InputError(what, expected="float images, or bytes", got=x_BCHW.dtype, mend="call x.float() first")
    if len(shape) != 4 or (shape[-1] != shape[-2] and not is_row(shape)):
        raise InputError(what, expected="square images (B, C, H, H)", got=shape, mend="crop them to a square first")
