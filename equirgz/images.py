"""What users hold as images, brought to one form: pixels as numbers, axes (N, C, H, W), or refused in one line.

The rule for pixels: integers are pictures, 0 to 255, and mean 0 to 1; floats and booleans are taken as they are.
The rule for shapes: images are square; an axis H of length 1 says that they are rows (N, C, 1, L), such as spectra
(:mod:`equirgz.data.spectra.rows`), which are not turned, resampled or masked.
Legend: N images, C channels, H W pixels.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from equirgz.errors import ImageError, explain

SHAPES = "(N, H, W) or (N, C, H, W) with N >= 1"
FLOAT32_MAX = float(np.finfo(np.float32).max)
COLOURS = (1, 3, 4)  # lengths of a last axis that can only be channels
PICTURES = ("1", "L", "RGB", "I;16", "I", "F")  # modes of Pillow whose numbers are intensities


def as_images(
    value: Any,
    what: str = "images",
    *,
    channels: int | None = None,
    size: int | None = None,
    rows: bool | None = None,
    flat: bool = False,
    keep_bytes: bool = False,
) -> np.ndarray:
    """Return x_NCHW, float32 or float64, native byte order, of whatever holds images.

    value : arrays of any byte order (numpy, torch, pandas, anything with ``__array__``), an ImageSet, or lists and
        columns of images; (N, H, W) is one channel. bool: 0 and 1. Integers: 0 to 255, divided by 255.
        half, bfloat16 and float32: float32; wider floats: float64.
    channels, size : of the network that will see them, so that a wrong shape is explained better. Images of
        another size are no error here.
    rows : whether that network takes rows (N, C, 1, L) instead of images; None: either will do.
    flat : take (N, H * H) too.
    keep_bytes : integers stay uint8 from 0 to 255; :func:`scale_bytes` is what they mean.

    Raises ImageError for masked, complex, non-finite or unscaled pixels, quantities with a unit, paths, oblong
    images, single images, channels last, and lists of different shapes or types.
    """
    array = as_numbers(value, what)
    if flat and array.ndim == 2 and len(array):
        array = _unfold(array, what, size)
    check_shape(array.shape, what, channels, rows)
    array = array[:, None] if array.ndim == 3 else array
    return np.ascontiguousarray(_check_values(array, what, keep_bytes))


def as_numbers(value: Any, what: str = "images") -> np.ndarray:
    """Return the numbers of ``value``, of any shape: bools, integers, float32 or float64, in native byte order.

    The part of :func:`as_images` that knows of no shapes and of no scale. Raises ImageError for masked and complex
    numbers, quantities with a unit, paths and other objects.
    """
    return _as_numbers(_unwrap(value, what), what)


def is_channels_last(shape: tuple[int, ...]) -> bool:
    """Return whether ``shape`` can only be (N, H, W, C) of square colour images."""
    return len(shape) == 4 and shape[-1] in COLOURS and shape[1] == shape[2] != shape[3]


def scale_bytes(x: Any) -> Any:
    """Return float32 in [0, 1] of bytes from 0 to 255 (an array or a tensor), the rule of :func:`as_images`."""
    return (x.astype(np.float32) if isinstance(x, np.ndarray) else x.float()) / 255


def is_row(shape: tuple[int, ...]) -> bool:
    """Return whether ``shape`` is that of rows, (N, C, 1, L) with L above 1."""
    return len(shape) == 4 and shape[2] == 1 < shape[3]


def check_shape(
    shape: tuple[int, ...], what: str = "images", channels: int | None = None, rows: bool | None = None
) -> None:
    """Raise ImageError, with a guess at what is meant, unless ``shape`` is that of square images, or of rows.

    ``rows`` says which of the two a network takes; None: either.
    """
    good = len(shape) in (3, 4) and min(shape) > 0 and shape[-1] == shape[-2] and not rows
    good = good or (min(shape, default=0) > 0 and is_row(shape) and rows is not False)
    if good and channels is not None and (shape[1] if len(shape) == 4 else 1) != channels:
        good = False
    if good:
        return
    if rows or is_row(shape):
        expected = f"rows such as spectra, (N, {channels or 'C'}, 1, L)" if rows else f"square ones, {SHAPES}"
        mend = "see equirgz.data.spectra.rows" if rows else "a network of spectra takes rows"
        raise ImageError(explain(what, expected=expected, got=_name(shape), mend=mend))
    one = f"(N, {channels}, H, W)" if channels is not None and channels > 1 else SHAPES
    raise ImageError(explain(what, expected=f"square ones, {one}", got=_name(shape), mend=guess_mend(shape, channels)))


def _name(shape: tuple[int, ...]) -> str:
    return f"the shape {tuple(int(n) for n in shape)}"


def guess_mend(shape: tuple[int, ...], channels: int | None = None) -> str:
    """Return the likeliest way from ``shape`` to images, given the channels that are needed (None: any)."""
    if min(shape, default=0) == 0:
        return "give at least one image with pixels"
    colours = COLOURS if channels is None else (channels,)
    if len(shape) == 1:
        return "Reshape your data to (N, H, W)"
    if len(shape) == 2:
        return "one image is images[None]"
    if len(shape) == 3 and channels not in (None, 1) and shape[0] == channels and shape[1] == shape[2]:
        return "one colour image is images[None]"
    if len(shape) == 3 and shape[-1] in colours and shape[0] == shape[1]:
        return "one image with its channels last is np.moveaxis(image, -1, 0)[None]"
    if len(shape) == 4 and shape[-1] in colours and shape[1] == shape[2]:
        return "channels last become first by np.moveaxis(images, -1, 1)"
    if len(shape) > 4 and 1 in shape:
        return "take the axes of length 1 away with squeeze()"
    if len(shape) in (3, 4) and shape[-1] != shape[-2]:
        return "cut or pad the oblong images to squares"
    if len(shape) in (3, 4) and channels is not None:
        has = shape[1] if len(shape) == 4 else 1
        return f"give {channels} channel{'s' * (channels > 1)}, or build the network with in_channels={has}"
    return "put the images along the first axis"


def _unwrap(value: Any, what: str) -> np.ndarray:
    """Return an array, of any type and shape, of what holds images; refuse what loses its meaning by that."""
    if value is None:
        raise _refused(what, "None", "give the images")
    if isinstance(value, (str, bytes, os.PathLike)):
        mend = "read it first: equirgz.data.own.folder_or_file.load_images(path)"
        raise _refused(what, f"the path {os.fsdecode(value)!r}", mend)
    if not isinstance(value, np.ndarray) and hasattr(value, "x_NCHW"):
        value = value.x_NCHW
    if hasattr(value, "layout") and hasattr(value, "detach"):
        return _from_tensor(value, what)
    if hasattr(value, "toarray"):
        raise _refused(what, "a sparse matrix", "make it dense with toarray()")
    unit = getattr(value, "unit", None)
    if unit is not None and str(unit):
        raise _refused(what, f"quantities in {unit}", "give plain numbers: images.to_value(unit)")
    mask = getattr(value, "mask", None)  # a method of pandas, an array of numpy.ma and of astropy
    if mask is not None and not callable(mask):
        if np.any(mask):
            mend = "fill them, as with images.filled(0), or leave those images out"
            raise _refused(what, f"{int(np.sum(mask))} masked pixels", mend)
        value = getattr(value, "unmasked", getattr(value, "data", value))
    mode = getattr(value, "mode", None)
    if isinstance(mode, str) and hasattr(value, "getbands") and mode not in PICTURES:
        raise _refused(what, f"a picture of mode {mode}", "convert it: picture.convert('L') or convert('RGB')")
    if hasattr(value, "iloc"):
        value = value.to_numpy() if getattr(value, "ndim", 1) == 2 else list(value)
    if isinstance(value, np.ndarray) and value.dtype == object:
        value = list(value)
    if isinstance(value, (list, tuple)):
        return _stack(value, what)
    return np.asarray(value)


def _from_tensor(value: Any, what: str) -> np.ndarray:
    kind = str(value.dtype).removeprefix("torch.")
    if value.is_meta or str(value.layout) != "torch.strided" or value.is_quantized:
        got = "a meta tensor" if value.is_meta else f"a {value.layout} {kind} tensor"
        raise _refused(what, got, "give a dense tensor with values")
    value = value.detach().cpu()
    return (value.float() if value.is_floating_point() and value.element_size() < 4 else value).resolve_conj().numpy()


def _stack(items: Iterable[Any], what: str) -> np.ndarray:
    """Return one array of a list of images (or of nested lists of numbers), which must be alike."""
    items = list(items)
    if all(np.isscalar(item) and not isinstance(item, (str, bytes)) for item in items):
        return np.asarray(items)
    arrays = [_unwrap(item, what) for item in items]
    for name, of_all in (("shape", {a.shape for a in arrays}), ("type", {a.dtype.str for a in arrays})):
        if len(of_all) > 1:
            some = " and ".join(map(str, sorted(of_all, key=str)[:3]))
            raise ImageError(explain(what, expected=f"one {name}", got=some, mend="bring all images to one first"))
    return np.stack(arrays)


def _as_numbers(array: np.ndarray, what: str) -> np.ndarray:
    """Return bools, bytes, float32 or float64 of ``array``, in native order; refuse other types."""
    if array.dtype == object:
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise _refused(what, f"objects ({' '.join(str(error).split())})", "give arrays of numbers") from error
    kind = array.dtype.kind
    if kind == "c":
        raise _refused(what, f"complex numbers ({array.dtype})", "take their real part or absolute value")
    if kind not in "biuf":
        raise _refused(what, f"type {array.dtype}", "give arrays of numbers")
    if kind == "f":
        return array.astype(np.float32 if array.dtype.itemsize <= 4 else np.float64, copy=False)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _unfold(array: np.ndarray, what: str, size: int | None) -> np.ndarray:
    """Return (N, H, H) of flat images."""
    side = round(array.shape[1] ** 0.5)
    if side * side == array.shape[1] and side > 0:
        return array.reshape(len(array), side, side)
    if array.shape[0] == array.shape[1] or array.shape == (size, size):
        got, mend = f"one image of the shape {array.shape}", "one image is images[None]"
        raise ImageError(explain(what, expected=SHAPES, got=got, mend=mend))
    expected = f"{SHAPES}, or flat with a square number of pixels"
    got = f"Found array with {array.shape[1]} feature(s) (shape={array.shape}) while a minimum of 1 is required."
    got = f"{array.shape[1]} pixels" if array.shape[1] else got
    raise ImageError(explain(what, expected=expected, got=got, mend="give the images as (N, H, W)"))


def _check_values(array: np.ndarray, what: str, keep_bytes: bool) -> np.ndarray:
    """Return pixels by the rule of this module; refuse those that have no meaning under it."""
    kind, name = array.dtype.kind, array.dtype
    if kind == "b":
        return array.astype(np.uint8) * np.uint8(255) if keep_bytes else array.astype(np.float32)
    if kind in "iu":
        low, high = int(array.min()), int(array.max())
        if low < 0 or high > 255 or (high == 1 and name != np.uint8):
            expected, got = "integers from 0 to 255, which mean 0 to 1, or floats", f"{name} from {low} to {high}"
            mend = "scale them to floats, for example images / images.max()"
            if (low, high) == (0, 1):
                mend = "say which with images.astype(float), or astype('uint8') for 0 to 255"
            raise ImageError(explain(f"{what}: pixels", expected=expected, got=got, mend=mend))
        array = array.astype(np.uint8, copy=False)
        return array if keep_bytes else scale_bytes(array)
    refuse_bad(~np.isfinite(array).reshape(len(array), -1).all(1), what)
    if name == np.float64 and (largest := float(np.abs(array).max())) > FLOAT32_MAX:
        mend = "divide by a unit that fits"
        raise ImageError(explain(f"{what}: pixels", expected="at most 3.4e38", got=f"{largest:.3g}", mend=mend))
    return array


def refuse_bad(bad_N: np.ndarray, what: str = "images") -> None:
    """Raise ImageError where images hold NaN or infinity, with the first of them."""
    if bad_N.any():
        where = np.flatnonzero(bad_N).tolist()
        got = f"NaN or infinity (inf) in {len(where)} of them, first at index {where[:5]}"
        raise ImageError(explain(what, expected="finite pixels", got=got, mend="preprocess them or leave them out"))


def _refused(what: str, got: str, mend: str) -> ImageError:
    return ImageError(explain(what, expected="plain numbers, one per pixel", got=got, mend=mend))
