"""Encoded pictures (PNG, JPEG, TIFF, GIF, ...): the very numbers that were written, or a refusal by name."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from equirgz.errors import DataError, InputError, require

#: what Pillow calls the numbers that it reads as they are written, by the kind of pixel
_DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
_GREY = ("1", "L", "LA")
_COLOUR = ("P", "PA", "RGB", "RGBA", "RGBX", "YCbCr")
_TIFF_SAMPLE_FORMAT, _TIFF_PHOTOMETRIC, _SIGNED, _WHITE_IS_ZERO = 339, 262, 2, 0


def decode_image(
    content: bytes, source: str, *, colour: bool | None = None, plane: int | str | None = None
) -> np.ndarray:
    """Return a picture as (H, W) or (3, H, W), upright, in the type in which its numbers are stored.

    Bytes (also of one bit and of palettes) are uint8, deeper greys uint16, int32 or uint32, floats float32. Colour
    whose three channels are equal is grey. ``colour`` True or False forces three channels or one (luma); ``plane``
    picks a page or frame of several. Their meaning: :mod:`equirgz.data.formats.levels`.

    Raises DataError that names ``source`` for what cannot be read, or not without changing it: several pages,
    transparency over anything but black, colour of 16 bits per channel, CMYK, Lab and the like.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as image:
            _choose_frame(image, source, plane)
            _refuse_loss(image, source)
            unsigned, signed_bytes = _has_tag(image, "I;32N"), image.mode == "L" and _is_signed(image)
            image.load()
            image = ImageOps.exif_transpose(image)
            if image.mode in _DEEP:
                pixels = np.asarray(image)
                pixels = pixels.view(np.uint32) if unsigned and image.mode == "I" else pixels
            else:
                pixels = _read_bytes(image, source, colour)
                pixels = pixels.view(np.int8).astype(np.int16) if signed_bytes else pixels
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise DataError(f"{source}: expected a readable image, got: {' '.join(str(error).split())[:120]}") from error
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if pixels.ndim == 3:
        pixels = np.moveaxis(pixels, 2, 0)
        if colour is None and (pixels[0] == pixels[1]).all() and (pixels[0] == pixels[2]).all():
            pixels = pixels[0]
    elif colour:
        pixels = np.repeat(pixels[None], 3, 0)
    return np.ascontiguousarray(pixels)


def _choose_frame(image: Any, source: str, plane: int | str | None) -> None:
    n_frames = getattr(image, "n_frames", 1)
    if plane is None:
        if n_frames > 1:
            got, mend = f"{n_frames} pages or frames", f"say which with plane, 0 to {n_frames - 1}"
            raise DataError(source, expected="one picture", got=got, mend=mend)
        return
    try:
        index = int(plane)
    except (TypeError, ValueError):
        got = f"plane {plane!r} of a picture"
        raise InputError(source, expected="the number of a page or frame", got=got) from None
    if not 0 <= index < n_frames:
        raise InputError(f"{source}: plane", expected=f"0 to {n_frames - 1}", got=index)
    if n_frames > 1:
        image.seek(index)


def _refuse_loss(image: Any, source: str) -> None:
    """Raise DataError where Pillow would change the numbers: it has no 16-bit colour, no ink, no inverted depth."""
    require(
        image.mode in (*_DEEP, *_GREY, *_COLOUR),
        source,
        expected="grey or RGB",
        got=image.mode,
        mend="save it as RGB",
        error=DataError,
    )
    if image.mode not in _DEEP and _has_tag(image, ";16"):
        got, mend = f"{image.mode} of 16 bits per channel", "save 8 bits, or one grey channel of 16"
        raise DataError(source, expected="8 bits per channel", got=got, mend=mend)
    if image.mode in _DEEP and "transparency" in image.info:
        raise DataError(source, expected="opaque pixels", got="a transparent grey", mend="flatten the picture")
    tags = getattr(image, "tag_v2", None) or {}
    if image.mode in _DEEP and tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
        raise DataError(source, expected="0 to be black", got="WhiteIsZero", mend="save it as BlackIsZero")


def _has_tag(image: Any, text: str) -> bool:
    """Return whether the stored form of the pixels, as Pillow names it (``RGB;16B``), has ``text`` in it."""
    return any(text in str(tile[3]) for tile in image.tile)


def _is_signed(image: Any) -> bool:
    return _SIGNED in ((getattr(image, "tag_v2", None) or {}).get(_TIFF_SAMPLE_FORMAT) or ())


def _read_bytes(image: Any, source: str, colour: bool | None) -> np.ndarray:
    """Return (H, W) or (H, W, 3) bytes of a picture without transparency, or with it over black alone."""
    see_through = "A" in image.getbands() or "transparency" in image.info
    plain = "L" if image.mode in _GREY else "RGB"
    if see_through:
        whole = np.asarray(image.convert("RGBA"))
        hidden = whole[..., 3] < 255
        if whole[..., :3][hidden].any():
            got = f"transparency in {hidden.sum()} of {hidden.size}"
            mend = "flatten the picture on the background that you mean"
            raise DataError(f"{source}: pixels", expected="opaque ones", got=got, mend=mend)
    image = image.convert(plain)
    return np.asarray(image.convert("L") if colour is False else image)
