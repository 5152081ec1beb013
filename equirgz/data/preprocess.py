"""From published images to network input: one declared, hashed chain of steps.

    scale to [0, 1]  ->  crop the centre  ->  resample  ->  stretch  ->  disk mask

Every step commutes with quarter turns and reflections of the image about its centre. Maps in register with the
images are cut, resampled and masked with them, and neither scaled nor stretched. Rows such as spectra are given zeros
at their end up to the asked length, and nothing else is done to them or may be asked for.
Legend: N sources, C channels, K maps,
H W pixels of the input, O pixels of the output.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np

from equirgz.data.imageset import Data, ImageSet
from equirgz.errors import InputError, check_choice, require
from equirgz.records import content_hash

CHUNK = 256  # images at a time
SOFTENING = 0.05  # of asinh, for images in [0, 1]
STRETCHES = ("linear", "sqrt", "asinh")


@lru_cache(maxsize=32)
def resampling_matrix(size_in: int, size_out: int) -> np.ndarray:
    """Return the (size_out, size_in) matrix R with which an image becomes ``R x R^T``.

    Going down, output pixel i averages the input over its own area (box of width size_in/size_out);
    going up, it interpolates linearly. Rows sum to 1. R is exactly symmetric about the centre,
    ``R[i, j] == R[-1-i, -1-j]``, so that resampling commutes with turns and flips, and for odd
    sizes the central pixel stays the centre of the central pixel.
    """
    ratio = size_in / size_out
    centre_O = (np.arange(size_out) + 0.5) * ratio
    edge_I = np.arange(size_in)
    if ratio >= 1:
        low_O, high_O = centre_O - ratio / 2, centre_O + ratio / 2
        weight_OI = np.minimum(edge_I + 1, high_O[:, None]) - np.maximum(edge_I, low_O[:, None])
    else:
        weight_OI = 1 - np.abs(edge_I + 0.5 - centre_O[:, None])
    weight_OI = np.clip(weight_OI, 0, None)
    weight_OI[weight_OI < 1e-9] = 0
    weight_OI /= weight_OI.sum(1, keepdims=True)
    matrix = (weight_OI + weight_OI[::-1, ::-1]) / 2
    matrix.setflags(write=False)
    return matrix


def resample(image_NHW: np.ndarray, size_out: int) -> np.ndarray:
    """Resample square images (..., H, H) to (..., O, O) float32, antialiased (see resampling_matrix).

    The mean is kept. NaN spreads along its row and column. Raises InputError for oblong images.
    """
    height, width = image_NHW.shape[-2:]
    if height != width:
        got = f"{height} x {width}"
        raise InputError("resample", expected="square images", got=got, mend="crop them first")
    if height == size_out:
        return image_NHW.astype(np.float32, copy=True)
    matrix = resampling_matrix(height, size_out)
    flat = image_NHW.reshape(-1, height, width)
    out = np.empty((len(flat), size_out, size_out), np.float32)
    for start in range(0, len(flat), CHUNK):
        chunk = flat[start : start + CHUNK].astype(np.float64)
        # the mean of both orders of multiplication commutes with the transpose to the last bit
        rows_first = (matrix @ chunk) @ matrix.T
        columns_first = matrix @ (chunk @ matrix.T)
        out[start : start + CHUNK] = (rows_first + columns_first) / 2
    return out.reshape(*image_NHW.shape[:-2], size_out, size_out)


def crop_centre(image_NHW: np.ndarray, size: int) -> np.ndarray:
    """Cut the central ``size`` x ``size`` pixels.

    Where an even image is cut to an odd size (or an odd one to an even size) there is no centred cut;
    the cut then starts half a pixel early, at ``(H - size) // 2``. Raises InputError when too large.
    """
    height, width = image_NHW.shape[-2:]
    if size > min(height, width):
        raise InputError("crop", expected=f"at most the image's {min(height, width)} px", got=size)
    top, left = (height - size) // 2, (width - size) // 2
    return image_NHW[..., top : top + size, left : left + size]


def fit_size(image: np.ndarray, size: int, fill: float = 0) -> np.ndarray:
    """Return the central (size, size) part of (..., H, W), padded with ``fill`` where it is smaller."""
    for axis in (-2, -1):
        have = image.shape[axis]
        if have > size:
            start = have // 2 - size // 2
            image = np.take(image, np.arange(start, start + size), axis)
        elif have < size:
            before = size // 2 - have // 2
            width = [(0, 0)] * image.ndim
            width[axis] = (before, size - have - before)
            image = np.pad(image, width, constant_values=fill)
    return image


def stretch(image: np.ndarray, kind: str, softening: float = SOFTENING) -> np.ndarray:
    """Stretch intensities of [0, 1]: 0 stays 0 and 1 stays 1.

    linear: v; sqrt: sign(v) sqrt|v|; asinh: asinh(v/s)/asinh(1/s) with softening s. NaN stays NaN.
    """
    check_choice("stretch", kind, STRETCHES)
    if kind == "sqrt":
        return np.sign(image) * np.sqrt(np.abs(image))
    if kind == "asinh":
        return (np.arcsinh(image / softening) / np.arcsinh(1.0 / softening)).astype(image.dtype)
    return image


def disk(size: int) -> np.ndarray:
    """Return the (size, size) boolean disk of radius (size - 1)/2 about the centre, as geometry.disk_mask."""
    axis = np.arange(size) - (size - 1) / 2
    return np.hypot(axis[:, None], axis[None, :]) <= (size - 1) / 2 + 1e-6


@dataclass(frozen=True)
class Preprocessing:
    """The declared chain; ``hash`` identifies it, ``__call__`` applies it to an ImageSet.

    ``crop`` is in pixels, ``crop_arcsec`` on the sky (the nearest whole number of pixels; the set must know its
    pixel scale), unless the images were cut so before they were scaled (``cut_arcsec``). ``softening`` is that of
    asinh, in the units of the images ([0, 1], or Jy/beam of raw maps).
    """

    image_size: int = 65
    crop: int | None = None
    stretch: Literal["linear", "sqrt", "asinh"] = "sqrt"
    mask: bool = True
    crop_arcsec: float | None = None
    softening: float = SOFTENING

    def __post_init__(self) -> None:
        check_choice("stretch", self.stretch, STRETCHES)
        if self.crop is not None and self.crop_arcsec is not None:
            raise InputError("preprocessing: expected crop or crop_arcsec, got both; leave one out")
        for name in ("crop_arcsec", "softening"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(name, expected="a positive number", got=value)
        require(self.image_size >= 1, "image_size", expected="at least 1", got=self.image_size)

    @property
    def hash(self) -> str:
        """Identity of the chain: equal settings and equal version give equal hashes."""
        settings = asdict(self)
        for name, default in (("crop_arcsec", None), ("softening", SOFTENING)):  # younger than the hashes of results
            if settings[name] == default:
                del settings[name]
        return content_hash({"version": 1, **settings})

    def __call__(self, images: ImageSet, canvas: float = 1.0) -> ImageSet:
        """Return the set as float32 (N, image_size, image_size) with the new pixel scale.

        With ``canvas`` above 1 it also has canvases of up to so many sides, as far as the images reach.
        """
        if images.holds_rows:
            return self._lengthen(images)
        image = images.image_NHW
        crop = self._crop_px(images)
        size_in = image.shape[-1] if crop is None else crop
        out = np.empty((*image.shape[:-2], self.image_size, self.image_size), np.float32)
        for start in range(0, len(image), CHUNK):  # no second copy of a large set
            out[start : start + CHUNK] = self._apply(image[start : start + CHUNK], crop)
        return replace(
            images,
            image_NHW=out,
            map_NKHW=None if images.map_NKHW is None else self.apply_to_maps(images.map_NKHW, crop),
            pixel_scale_arcsec=images.pixel_scale_arcsec * size_in / self.image_size,
            canvas_NHW=self._make_canvas(image, size_in, canvas) if canvas > 1 else None,
            recipe=f"{images.recipe or images.checksum}|{self.hash}",
        )

    def _lengthen(self, images: ImageSet) -> ImageSet:
        """Return rows with zeros at their end; InputError where anything is asked for that is done to images alone."""
        asked = {"crop": self.crop, "crop_arcsec": self.crop_arcsec, "mask": self.mask or None}
        asked |= {"stretch": None if self.stretch == "linear" else self.stretch}
        for name, value in asked.items():
            mend = "for spectra give data: {stretch: linear, mask: false, normalise: false}"
            require(value is None, f"data.{name}", expected="unset for rows, which are no images", got=value, mend=mend)
        more = self.image_size - images.image_size
        expected, mend = f"at least the {images.image_size} pixels of the longest", f"use {images.image_size}"
        require(more >= 0, f"data.image_size for {images.name}", expected=expected, got=self.image_size, mend=mend)
        longer = np.pad(images.image_NHW, [(0, 0)] * 3 + [(0, more)]).astype(np.float32, copy=False)
        return replace(images, image_NHW=longer, recipe=f"{images.recipe or images.checksum}|{self.hash}")

    def _make_canvas(self, image: np.ndarray, size_in: int, factor: float) -> np.ndarray | None:
        """Return images of the side nearest to ``factor image_size`` about the same centre, unmasked; None for no more.

        Cut and canvas have the parity of cut and image, so that their centres agree; where a whole number of pixels
        asks for it, the pixel scale differs by up to a pixel of the cut over its side.
        """
        largest = image.shape[-1]
        steps = round((factor - 1) * self.image_size / 2)
        for step in range(steps, 0, -1):
            side = self.image_size + 2 * step
            cut = size_in + 2 * round((side * size_in / self.image_size - size_in) / 2)
            if cut <= largest:
                break
        else:
            return None
        wide = replace(self, image_size=side, mask=False)
        out = np.empty((*image.shape[:-2], side, side), np.float32)
        for start in range(0, len(image), CHUNK):
            out[start : start + CHUNK] = wide._apply(image[start : start + CHUNK], cut)
        return out

    def _crop_px(self, images: ImageSet) -> int | None:
        if self.crop_arcsec is None:
            return self.crop
        if images.cut_arcsec == self.crop_arcsec:
            return None
        scale = images.pixel_scale_arcsec
        if not math.isfinite(scale):
            got, mend = f"none in {images.name}", "give pixel_scale_arcsec, or crop in pixels"
            raise InputError("crop_arcsec", expected="a known pixel scale", got=got, mend=mend)
        return max(1, round(self.crop_arcsec / scale))

    def _apply(self, image: np.ndarray, crop: int | None) -> np.ndarray:
        if crop is not None:
            image = crop_centre(image, crop)
        scale = np.float32(1 / 255) if image.dtype == np.uint8 else np.float32(1)
        image = stretch(resample(image, self.image_size) * scale, self.stretch, self.softening)
        return image * disk(self.image_size).astype(np.float32) if self.mask else image

    def apply_to_maps(self, map_NKHW: np.ndarray, crop: int | None) -> np.ndarray:
        """Return maps (N, K, O, O) float32 of the same part of the sky as the images, 0 outside a ``mask``.

        A cut moves no value. Resampled, a pixel is the mean of what lies in its area (of a mask: the share that is
        inside), and NaN where anything in it is.
        """
        if crop is not None:
            map_NKHW = crop_centre(map_NKHW, crop)
        missing_NKHW = np.isnan(map_NKHW)
        out_NKHW = resample(np.where(missing_NKHW, 0, map_NKHW), self.image_size)
        if missing_NKHW.any():
            out_NKHW[resample(missing_NKHW.astype(np.float32), self.image_size) > 0] = np.nan
        return np.where(disk(self.image_size), out_NKHW, np.float32(0)) if self.mask else out_NKHW

    def apply(self, data: Data, canvas: float = 1.0) -> Data:
        """Apply the chain to every part of ``data``."""
        more = data.endless
        return Data(
            self(data.train, canvas),
            {name: self(images, canvas) for name, images in data.tests.items()},
            None if data.unlabelled is None else self(data.unlabelled, canvas),
            endless=None if more is None else lambda start, n: self(more(start, n), canvas),
        )
