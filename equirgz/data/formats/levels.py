"""What the numbers of an image mean, by their type and range: the one rule from numbers to bytes or shares of white.

    bytes 0..255  ->  as they are  |  deeper whole numbers  ->  n / white  |  floats in [0, 1]  ->  as they are

Legend: C channels, H W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from equirgz.errors import DataError, require

BITS = (8, 10, 12, 14, 16)  # of the detectors and formats that write whole numbers into 16 or 32 bits


def check_pixels(image: np.ndarray, source: str, white: float | None = None) -> np.ndarray:
    """Return integers from 0 to 255 (and booleans) as uint8 and floats in [0, 1] as float32.

    With ``white`` numbers other than bytes are divided by it, which gives floats in [0, 1]. Raises DataError that
    names ``source`` for any other pixels: what lies outside would wrap or be cut, and no scale can be guessed.
    """
    require(image.dtype.kind in "fiub", source, expected="pixels that are numbers", got=image.dtype, error=DataError)
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise DataError(source, expected="finite pixels", got="NaN or inf", mend="set them to 0")
    scaled = white is not None and image.dtype.itemsize > 1
    low, high = (image.min(), image.max()) if image.size else (0, 0)
    top = white if scaled else 1 if image.dtype.kind == "f" else 255
    if low < 0 or high > top:
        expected = f"numbers from 0 to white ({white:g})" if scaled else "integers from 0 to 255 or floats from 0 to 1"
        mend = "set white to the number of the brightest pixel that there can be, e.g. 4095 for 12 bits"
        if low < 0:
            mend = "scale every image, or read FITS maps in Jy/beam as a folder with a recipe"
        got = f"{image.dtype} from {low:g} to {high:g}"
        raise DataError(f"{source}: pixels", expected=expected, got=got, mend=mend)
    if scaled:
        return (image / np.float64(white)).astype(np.float32)
    return image.astype(np.float32 if image.dtype.kind == "f" else np.uint8, copy=False)


def find_white(images: Sequence[np.ndarray]) -> float | None:
    """Return the white level of all the whole numbers deeper than bytes: of the fewest bits that hold the largest.

    None where there are none, and where one is negative or above 65535, whose scale cannot be told.
    """
    deep = [image for image in images if image.dtype.kind in "iu" and image.dtype.itemsize > 1 and image.size]
    if not deep or min(image.min() for image in deep) < 0:
        return None
    top = max(int(image.max()) for image in deep)
    return next((float(2**bits - 1) for bits in BITS if top < 2**bits), None)


def level_images(
    images: Sequence[np.ndarray], sources: Sequence[str], white: float | None = None
) -> tuple[list[np.ndarray | None], dict[int, str], list[str]]:
    """Return pictures as stored, (H, W) or (3, H, W), in one type and number of channels, the unusable ones as None.

    Beside them: the reasons, by index, and what was decided for all of them, in words. Deeper whole numbers are
    divided by ``white``, or by what :func:`find_white` tells of all of them; bytes beside floats become n / 255; grey
    pictures beside colour ones get three equal channels.
    """
    said, out, bad = [], [], {}
    chosen = find_white(images) if white is None else white
    if white is None and chosen is not None and chosen < 65535:
        bits = int(chosen + 1).bit_length() - 1
        said.append(f"whole numbers of over 8 bits are read as {bits} bits (white {chosen:g}); set white where not so")
    for k, (image, source) in enumerate(zip(images, sources, strict=True)):
        try:
            whole = image.dtype.kind in "iu"
            out.append(check_pixels(image, source, chosen if whole or white is not None else None))
        except DataError as error:
            bad[k] = str(error)
            out.append(None)
    kept = [image for image in out if image is not None]
    if len({image.dtype for image in kept}) > 1:
        out = [_to_float(image) for image in out]
    n_colour = sum(image.ndim == 3 for image in kept)
    if 0 < n_colour < len(kept):
        out = [np.repeat(image[None], 3, 0) if image is not None and image.ndim == 2 else image for image in out]
        grey = len(kept) - n_colour
        said.append(f"{n_colour} pictures in colour and {grey} grey: all get three channels; set colour where not so")
    return out, bad, said


def _to_float(image: np.ndarray | None) -> np.ndarray | None:
    if image is None or image.dtype != np.uint8:
        return image
    return (image / np.float64(255)).astype(np.float32)
