"""Images that show one source though their pixels differ: encoded anew, turned, rescaled, noisy.

Each image is brought to 49 pixels and laid on circles about its centre, in three views: as it is, the square root
of what stands above its noise, and that of its central half. Moduli, which bound the correlation r of two images at
their best angle (:mod:`equirgz.data.overlap.turns`), find neighbours as vectors. What is near is told from what is
merely alike by a gap, as there are fields full of point sources: a set of images counts as one source where

    its largest step  <=  ratio * its distance 1 - r to all other images

A dense crowd of sources that look alike has no such gap, so nothing chains through it.
Legend: N images, R radii, A angles, K angular frequencies, F = R K.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import minimum_spanning_tree

from equirgz.data.imageset import ImageSet
from equirgz.data.overlap.turns import ANGLES, correlate_turns, moduli, transform
from equirgz.data.preprocess import crop_centre, disk, resampling_matrix

SIZE, _NEIGHBOURS, _BLOCK = 49, 16, 1024
_RADIUS = np.arange(1, SIZE // 2 + 1, 1.5)
_FAR = 0.4  # distance at which no image is held to be near another, however lonely both are
_LARGEST_STEP = 0.1
_MOST = 32  # images in one group: more are a class of images that look alike
#: of the gap, for groups that are kept together: one false pair in some tens of sources costs nothing there
MAY_BE = 0.5
#: of the gap, for sources that are refused or dropped
CERTAIN = 0.25


def find_near(sets: Sequence[ImageSet], *, ratio: float = MAY_BE) -> np.ndarray:
    """Return near_N over the images of all ``sets``, one after the other: equal for images that show one source.

    Images are compared whole, so sets of one known pixel scale are cut to a common size first; of other scales
    they must not be given. Colours are averaged. Images of one value are near nothing. Groups may hold up to a
    quarter of all images, at most 32 and at least 2.
    """
    n = sum(map(len, sets))
    parent_N = np.arange(n)
    for map_NRA in _maps(sets) if n > 1 else ():
        for group in _find_groups(map_NRA, ratio):
            parent_N[np.isin(parent_N, parent_N[group])] = parent_N[group[0]]
    return np.unique(parent_N, return_inverse=True)[1]


def _maps(sets: Sequence[ImageSet]) -> Iterator[np.ndarray]:
    """Yield the polar maps (N, R, A) of every view."""
    sides = [min(images.image_NHW.shape[-2:]) for images in sets]
    known = np.isfinite([images.pixel_scale_arcsec for images in sets]).all()
    sides = [min(sides)] * len(sides) if known and sides else sides
    whole, half = [], []
    for images, side in zip(sets, sides, strict=True):
        for start in range(0, len(images), _BLOCK):
            block = images.image_NHW[start : start + _BLOCK]
            grey = crop_centre(block, side).astype(np.float32)
            grey = grey if grey.ndim == 3 else grey.mean(1)
            whole.append(_shrink(grey))
            half.append(_shrink(crop_centre(grey, max(1, side // 2))))
    whole_NHW, half_NHW = np.concatenate(whole), np.concatenate(half)
    yield _polar(whole_NHW)
    yield _polar(_above_noise(whole_NHW))
    yield _polar(_above_noise(half_NHW))


def _shrink(image_NHW: np.ndarray) -> np.ndarray:
    matrix = resampling_matrix(image_NHW.shape[-1], SIZE).astype(np.float32)
    return matrix @ (image_NHW @ matrix.T)


def _above_noise(image_NHW: np.ndarray) -> np.ndarray:
    """Return the square root of what exceeds the median by 3 sigma (of the median absolute deviation) in the disk."""
    value = image_NHW[:, disk(SIZE)]
    median = np.median(value, 1, keepdims=True)
    level = median + 3 * 1.4826 * np.median(np.abs(value - median), 1, keepdims=True)
    return np.sqrt(np.clip(image_NHW - level[:, :, None], 0, None))


@lru_cache(maxsize=1)
def _sampling() -> sparse.csr_matrix:
    """Return the matrix (R A, pixels) that interpolates an image linearly on circles about its centre."""
    angle = 2 * np.pi * np.arange(ANGLES) / ANGLES
    row = ((SIZE - 1) / 2 - _RADIUS[:, None] * np.sin(angle)).ravel()
    column = ((SIZE - 1) / 2 + _RADIUS[:, None] * np.cos(angle)).ravel()
    top, left = (np.clip(np.floor(x).astype(int), 0, SIZE - 2) for x in (row, column))
    down, right = row - top, column - left
    place = np.arange(len(row))
    corners = [
        (top + y, left + x, (down if y else 1 - down) * (right if x else 1 - right)) for y in (0, 1) for x in (0, 1)
    ]
    weight = np.concatenate([w for _, _, w in corners])
    index = (np.tile(place, 4), np.concatenate([y * SIZE + x for y, x, _ in corners]))
    return sparse.csr_matrix((weight, index), shape=(len(row), SIZE * SIZE)).astype(np.float32)


def _polar(image_NHW: np.ndarray) -> np.ndarray:
    """Return maps (N, R, A) weighted by sqrt(radius), mean 0, unit norm; zeros for images of one value."""
    n = len(image_NHW)
    map_NRA = (_sampling() @ image_NHW.reshape(n, -1).T).T.reshape(n, len(_RADIUS), ANGLES)
    weight = np.sqrt(_RADIUS)[:, None]
    mean = (map_NRA * weight**2).sum((1, 2), keepdims=True) / ((weight**2).sum() * ANGLES)
    scale = np.abs(map_NRA).max((1, 2), keepdims=True)
    map_NRA = (map_NRA - mean) * weight
    norm = np.sqrt((map_NRA**2).sum((1, 2), keepdims=True))
    return np.where(norm > 1e-4 * scale, map_NRA / np.maximum(norm, 1e-30), 0).astype(np.float32)


def _find_groups(map_NRA: np.ndarray, ratio: float) -> list[np.ndarray]:
    lit = np.flatnonzero(map_NRA.any((1, 2)))
    if len(lit) < 2:
        return []
    i, j, distance = _neighbours(transform(map_NRA[lit]))
    most = max(2, min(_MOST, len(map_NRA) // 4))
    return [lit[group] for group in _gaps(len(lit), i, j, distance, ratio, most)]


def _neighbours(f_NRK: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return i < j of every image and its nearest by modulus, and 1 - r at the best angle and reflection."""
    n, modulus_NF = len(f_NRK), moduli(f_NRK)
    k = min(_NEIGHBOURS, n - 1)
    near_NK = np.empty((n, k), np.int64)
    for start in range(0, n, _BLOCK):
        bound = modulus_NF[start : start + _BLOCK] @ modulus_NF.T
        bound[np.arange(len(bound)), np.arange(start, start + len(bound))] = -1
        near_NK[start : start + _BLOCK] = np.argpartition(bound, n - k, axis=1)[:, n - k :]
    a, b = np.repeat(np.arange(n), k), near_NK.ravel()
    pair = np.unique(np.minimum(a, b) * n + np.maximum(a, b))
    i, j = pair // n, pair % n
    best, _, _ = correlate_turns(f_NRK, f_NRK, i, j)
    return i, j, np.clip(1 - best, 1e-9, None)  # a sparse graph takes 0 for no edge


def _gaps(n: int, i: np.ndarray, j: np.ndarray, distance: np.ndarray, ratio: float, most: int) -> list[np.ndarray]:
    """Return the largest sets of 2 to ``most`` images whose tree of shortest steps ends in a gap."""
    tree = minimum_spanning_tree(sparse.coo_matrix((distance, (i, j)), shape=(n, n))).tocoo()
    parent = list(range(n))
    clusters = {k: _Cluster([k], 0.0, []) for k in range(n)}
    done: list[list[int]] = []

    def root(image: int) -> int:
        while parent[image] != image:
            parent[image] = parent[parent[image]]
            image = parent[image]
        return image

    for k in np.argsort(tree.data, kind="stable"):
        a, b, height = root(tree.row[k]), root(tree.col[k]), float(tree.data[k])
        for cluster in (clusters[a], clusters[b]):
            cluster.close(height, ratio)
        joined = _Cluster(clusters[a].members + clusters[b].members, height, clusters[a].found + clusters[b].found)
        if len(joined.members) > most:  # no group from here on; one member is enough to go on with
            done += joined.found
            joined = _Cluster(joined.members[:1] * (most + 1), height, [])
        parent[b] = a
        clusters[a] = joined
        del clusters[b]
    for cluster in clusters.values():
        cluster.close(_FAR, ratio)
        done += cluster.found
    return [np.array(group) for group in done if len(group) <= most]


@dataclass
class _Cluster:
    members: list[int]
    step: float  # the largest inside
    found: list[list[int]]  # groups inside that end in a gap

    def close(self, gap: float, ratio: float) -> None:
        """Count the whole as one group where the gap around it is wide enough."""
        if len(self.members) > 1 and self.step <= min(_LARGEST_STEP, ratio * min(gap, _FAR)):
            self.found = [self.members]
