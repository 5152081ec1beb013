"""Whatever holds images gives the same pixels as the plain float32 array, or is refused in one line."""

from __future__ import annotations

import astropy.units
import numpy as np
import pandas as pd
import pytest
import torch
from astropy.utils.masked import Masked
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import sparse

from equirgz.data.imageset import ImageSet
from equirgz.errors import DataError, ImageError, InputError
from equirgz.images import as_images, check_shape, scale_bytes

FLOATS = ("f2", "f4", "f8", "g")
INTEGERS = ("u1", "u2", "u4", "u8", "i2", "i4", "i8")


def make(shape=(3, 8, 8), seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def lay_out(array, layout):
    """Return the same numbers in another place of memory or another container."""
    if layout == "fortran":
        return np.asfortranarray(array)
    if layout == "strided":
        return np.repeat(array, 2, axis=-1)[..., ::2]
    if layout == "backwards":
        return array[..., ::-1].copy()[..., ::-1]
    if layout == "read-only":
        array = array.copy()
        array.setflags(write=False)
        return array
    return {
        "list": list,
        "tuple": tuple,
        "series": lambda a: pd.Series(list(a)),
        "nested": lambda a: a.tolist(),
        "objects": lambda a: a.astype(object),
        "unmasked": np.ma.masked_array,
    }[layout](array)


LAYOUTS = ("fortran", "strided", "backwards", "read-only", "list", "tuple", "series", "nested", "objects", "unmasked")


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(FLOATS + INTEGERS),
    order=st.sampled_from("<>"),
    layout=st.sampled_from(LAYOUTS),
    shape=st.sampled_from([(3, 8, 8), (1, 5, 5), (2, 3, 8, 8), (2, 1, 1, 1), (3, 3, 3), (4, 4, 4, 4)]),
    seed=st.integers(0, 9),
)
def test_every_type_order_and_layout_gives_the_same_pixels(kind, order, layout, shape, seed):
    byte = make(shape, seed)
    byte.flat[0] = 200  # integers of 0 and 1 alone are refused
    plain = (byte / 255).astype(np.float32).reshape(shape if len(shape) == 4 else (shape[0], 1, *shape[1:]))
    dtype = np.dtype(kind) if kind == "g" else np.dtype(kind).newbyteorder(order)
    value = (byte if kind in INTEGERS else byte / 255).astype(dtype)
    if layout in ("nested", "objects") and kind in FLOATS:
        value = value.astype("f8")  # python's numbers
    before = value.copy()
    got = as_images(lay_out(value, layout))
    assert got.shape == plain.shape and got.dtype.isnative and got.flags.c_contiguous
    assert got.dtype in (np.float32, np.float64)
    assert np.allclose(got, plain, atol=1e-3 if kind == "f2" else 1e-7)
    assert np.array_equal(value, before)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64", "uint8", "int64"])
def test_tensors_too(name):
    byte, dtype = make(), getattr(torch, name)
    whole = not dtype.is_floating_point
    value = torch.tensor(byte if whole else byte / 255).to(dtype).requires_grad_(not whole)
    for held in (value, list(value), value.transpose(1, 2).contiguous().transpose(1, 2), tuple(value)):
        got = as_images(held)
        assert np.allclose(got[:, 0], byte / 255, atol={torch.bfloat16: 4e-3, torch.float16: 1e-3}.get(dtype, 1e-7))


def test_bools_bytes_sets_and_pictures():
    byte = make()
    assert np.array_equal(as_images(byte > 99)[:, 0], (byte > 99).astype(np.float32))
    kept = as_images(byte, keep_bytes=True)
    assert kept.dtype == np.uint8 and np.array_equal(scale_bytes(kept), as_images(byte))
    assert np.array_equal(scale_bytes(torch.from_numpy(kept)).numpy(), as_images(byte))
    images = ImageSet("set", byte, np.full(3, -1), np.array(["a", "b", "c"]))
    assert np.array_equal(as_images(images), as_images(byte))
    assert np.array_equal(as_images([Image.fromarray(a) for a in byte]), as_images(byte))


def test_flat_images():
    byte = make((3, 64))
    for held in (byte, pd.DataFrame(byte, columns=[f"p{i}" for i in range(64)]), byte.tolist(), torch.tensor(byte)):
        assert np.array_equal(as_images(held, flat=True), as_images(byte.reshape(3, 8, 8)))
    with pytest.raises(ImageError, match="square number"):
        as_images(np.zeros((3, 10)), flat=True)
    with pytest.raises(ImageError, match=r"one image .*\(17, 17\).*one image is images\[None\]"):
        as_images(np.zeros((17, 17)), flat=True)


X = make() / 255
REFUSED = {
    "masked": (np.ma.masked_array(X, X > 0.9), "masked pixels; fill them"),
    "astropy masked": (Masked(X, X > 0.9), "masked pixels; fill them"),
    "masked in a list": ([np.ma.masked_array(a, a > 0.9) for a in X], "masked pixels; fill them"),
    "complex": (X + 1j, "complex numbers .*real part"),
    "complex tensor": (torch.tensor(X + 1j), "complex numbers .*real part"),
    "unit": (X * astropy.units.mJy, "quantities in mJy; give plain numbers"),
    "text": (X.astype(str), "type <U"),
    "times": (X.astype("M8[s]"), "type datetime64"),
    "words": (np.array([["a", "b"], ["c", "d"]], object), "path 'a'; read it"),
    "path": ("maps/a.fits", "path 'maps/a.fits'; read it first"),
    "paths": (["a.fits", "b.fits"], "path 'a.fits'; read it first"),
    "sparse": (sparse.eye(9, format="csr"), "sparse matrix; make it dense"),
    "sparse tensor": (torch.tensor(X).to_sparse(), "sparse.* tensor; give a dense"),
    "meta": (torch.empty(3, 8, 8, device="meta"), "meta tensor; give a dense"),
    "palette": ([Image.fromarray(make((8, 8))).convert("P")], "mode P; convert it"),
    "ragged": ([np.zeros((8, 8)), np.zeros((9, 9))], "one shape, got"),
    "mixed types": ([np.zeros((8, 8)), np.zeros((8, 8), np.uint8)], "one type, got"),
    "12 bits": (make().astype(np.int16) * 16, "integers from 0 to 255, .*got int16 from"),
    "negative": (make().astype(np.int64) - 300, "integers from 0 to 255"),
    "0 and 1": ((make() > 99).astype(int), "say which with images.astype"),
    "NaN": (np.where(X > 0.99, np.nan, X), "finite pixels, got NaN"),
    "infinite half": (np.full((2, 8, 8), np.inf, "f2"), "finite pixels"),
    "too large": (X * 1e300, "at most 3.4e38"),
    "channels last": (np.zeros((5, 8, 8, 3)), r"\(5, 8, 8, 3\); channels last become first"),
    "oblong": (X[:, :, :7], r"\(3, 8, 7\); cut or pad"),
    "one image": (X[0], r"\(8, 8\); one image is images\[None\]"),
    "one channels-last image": (np.zeros((8, 8, 3)), r"\(8, 8, 3\); one image with its channels last"),
    "cube": (np.zeros((1, 1, 1, 8, 8)), "squeeze"),
    "empty": (np.zeros((0, 8, 8)), "N >= 1, got .*at least one image"),
    "nothing": ([], "N >= 1"),
    "no pixels": (np.zeros((3, 0, 0)), "at least one image with pixels"),
    "a number": (5, "N >= 1"),
    "None": (None, "got None; give the images"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_meaning_is_refused_in_one_line(name):
    value, message = REFUSED[name]
    with pytest.raises(ImageError, match=message) as refused:
        as_images(value)
    assert "\n" not in str(refused.value) and isinstance(refused.value, InputError | DataError)


def test_a_known_network_explains_more():
    for shape, mend in (
        ((3, 8, 8), "one colour image is images"),
        ((8, 8, 3), "np.moveaxis"),
        ((5, 8, 8, 3), "np.moveaxis"),
        ((5, 8, 8), "give 3 channels, .*in_channels=1"),
        ((5, 1, 8, 8), "give 3 channels"),
    ):
        with pytest.raises(ImageError, match=mend):
            check_shape(shape, channels=3)
    check_shape((5, 3, 8, 8), channels=3)
