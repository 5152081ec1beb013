"""Images that are equal to the last bit, as they are or turned and flipped on the pixel lattice.

Legend: N sources, C channels, H W pixels.
"""

from __future__ import annotations

import hashlib

import numpy as np

from equirgz.data.imageset import ImageSet
from equirgz.data.overlap.pairs import Pairs

_BLOCK = 1024
_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


def match_pixels(a: ImageSet, b: ImageSet) -> Pairs:
    """Return all pairs of images with the same pixels under one of the eight turns and flips of the lattice.

    Images in [0, 1] are compared with images of bytes after rounding to bytes. Images of one value
    match nothing, nor do images of other shapes. The score is 1.
    """
    a_NCHW, b_NCHW = _alike(a.x_NCHW, b.x_NCHW)
    none = Pairs(np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    if a_NCHW.shape[1:] != b_NCHW.shape[1:] or not len(a) or not len(b):
        return none
    # turns and flips keep the sum of an image, so that most images need no more than it
    sum_a, sum_b = _bit_sums(a_NCHW), _bit_sums(b_NCHW)
    of_b: dict[bytes, list[int]] = {}
    for j in np.flatnonzero(np.isin(sum_b, sum_a)):
        of_b.setdefault(_hash_orbit(b_NCHW[j]), []).append(int(j))
    found = [
        (int(i), j)
        for i in np.flatnonzero(np.isin(sum_a, sum_b))
        if a_NCHW[i].min() != a_NCHW[i].max()
        for j in of_b.get(_hash_orbit(a_NCHW[i]), ())
    ]
    if not found:
        return none
    i, j = np.array(found).T
    return Pairs(i, j, np.ones(len(i)))


def match_copies(images: ImageSet) -> Pairs:
    """Return all pairs i != j of ``images`` that :func:`match_pixels` finds within one set, in both orders."""
    _, which_N, count = np.unique(_bit_sums(images.x_NCHW), return_inverse=True, return_counts=True)
    index = np.flatnonzero(count[which_N] > 1)
    part = images.subset(index)
    pairs = match_pixels(part, part)
    apart = pairs.i != pairs.j
    return Pairs(index[pairs.i[apart]], index[pairs.j[apart]], pairs.score[apart])


def _alike(a_NCHW: np.ndarray, b_NCHW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both arrays as they are, or as bytes where only one of them holds bytes."""
    if a_NCHW.dtype == b_NCHW.dtype:
        return a_NCHW, b_NCHW
    return _to_bytes(a_NCHW), _to_bytes(b_NCHW)


def _to_bytes(x_NCHW: np.ndarray) -> np.ndarray:
    return x_NCHW if x_NCHW.dtype == np.uint8 else np.clip(np.rint(x_NCHW * 255), 0, 255).astype(np.uint8)


def _bit_sums(x_NCHW: np.ndarray) -> np.ndarray:
    """Return the sum (N,) of every image's pixels read as whole numbers, modulo 2^64."""
    out = np.zeros(len(x_NCHW), np.uint64)
    for start in range(0, len(x_NCHW), _BLOCK):
        block = np.ascontiguousarray(x_NCHW[start : start + _BLOCK])
        bits = block.view(_UNSIGNED[block.dtype.itemsize]).reshape(len(block), -1)
        out[start : start + _BLOCK] = bits.sum(1, dtype=np.uint64)
    return out


def _hash_orbit(x_CHW: np.ndarray) -> bytes:
    """Return the least hash of an image's turns and flips, which they have in common."""
    turned = [np.rot90(x, k, (-2, -1)) for x in (x_CHW, x_CHW[..., ::-1]) for k in range(4)]
    return min(
        hashlib.blake2b(np.ascontiguousarray(x).tobytes(), digest_size=16).digest()
        for x in turned
        if x.shape == x_CHW.shape
    )
