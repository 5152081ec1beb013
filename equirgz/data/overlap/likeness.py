"""Images of the same source found at any orientation.

Legend: N, M sources of the two sets; R radii and A angles of polar maps, K angular frequencies.

Two steps. Polar maps about the image's centre, and about its centre of light, are compared at all
angles with and without reflection (:mod:`equirgz.data.overlap.turns`); what comes near the threshold is
turned accordingly and correlated pixel by pixel over shifts.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.fft
from scipy import ndimage

from equirgz.data.imageset import ImageSet
from equirgz.data.overlap.pairs import Pairs
from equirgz.data.overlap.turns import ANGLES, STEP_DEG, correlate_turns, moduli, pairs_above, transform
from equirgz.data.preprocess import crop_centre, disk, resample

_SIZE = 49
_MAX_SHIFT = 0.07  # of the side compared
#: correlation from which two images are held to be of one source
SAME_IMAGE = 0.995


def match_images(
    a: ImageSet, b: ImageSet, *, correlation: float = 0.99, side: int | None = None, margin: float = 0.05
) -> Pairs:
    """Return pairs whose images correlate at ``correlation`` or more at the best orientation and shift.

    The disk inscribed in the central ``side`` pixels (default: 120, or what both sets have) is
    stretched by a square root, so that brightness scales and what lies outside do not matter. Shifts
    up to 7 % of ``side`` are allowed. The first step keeps pairs down to ``correlation - margin``.
    Images of one value match nothing. A set against itself gives pairs i < j. ``angle_deg`` and
    ``reflect`` say how b is reflected (columns), then turned, to lie on a. Featureless sources (one
    beam, equal doubles) look alike, so pairs much below 0.99 are candidates rather than proofs.
    """
    side = side or min(120, a.image_size, b.image_size)
    flat_a = _stretched(a, side)
    flat_b = flat_a if a is b else _stretched(b, side)
    best: dict[tuple[int, int], tuple[float, float, bool]] = {}
    for recentre in (False, True):
        polar_a = _transforms(flat_a, recentre)
        polar_b = polar_a if a is b else _transforms(flat_b, recentre)
        for i, j, score, angle, reflect in _candidates(polar_a, polar_b, correlation - margin):
            if (a is not b or i < j) and score > best.get((i, j), (-1.0,))[0]:
                best[i, j] = (score, angle, reflect)
    found = []
    for (i, j), (_, angle, reflect) in sorted(best.items()):
        score, angle = _correlate(flat_a[i], flat_b[j], angle, reflect)
        if score >= correlation:
            found.append((i, j, score, angle % 360.0, reflect))
    columns = list(zip(*found, strict=True)) if found else [[] for _ in range(5)]
    kinds = (int, int, float, float, bool)
    return Pairs(*(np.array(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True)))


def _stretched(images: ImageSet, side: int) -> np.ndarray:
    """Return (N, side, side) float32: square root of the central pixels, masked to a disk, grey."""
    pixels = images.image_NHW if images.image_NHW.ndim == 3 else images.image_NHW.mean(1)
    return (np.sqrt(np.clip(crop_centre(pixels, side), 0, None)) * disk(side)).astype(np.float32)


def polar_maps(small_NHW: np.ndarray, *, recentre: bool = False) -> np.ndarray:
    """Return (N, R, A) samples on circles, weighted by sqrt(radius), mean 0, unit norm.

    Circles lie about the image's centre or, with ``recentre``, about its centre of light. Angles run
    counter-clockwise from the right when row 0 is drawn on top. An image of one value gives zeros.
    """
    n, size = len(small_NHW), small_NHW.shape[-1]
    radius = np.arange(1, size // 2 + 1, 1.5)
    angle = 2 * np.pi * np.arange(ANGLES) / ANGLES
    centre_N2 = np.full((n, 2), (size - 1) / 2)
    if recentre:
        axis = np.arange(size)
        light_N = np.maximum(small_NHW.sum((1, 2)), 1e-30)
        centre_N2 = np.stack([small_NHW.sum(2) @ axis, small_NHW.sum(1) @ axis], 1) / light_N[:, None]
    maps = np.stack(
        [
            ndimage.map_coordinates(
                x, (c[0] - radius[:, None] * np.sin(angle), c[1] + radius[:, None] * np.cos(angle)), order=1
            )
            for x, c in zip(small_NHW, centre_N2, strict=True)
        ]
    )
    weight = np.sqrt(radius)[:, None]
    mean = (maps * weight**2).sum((1, 2), keepdims=True) / ((weight**2).sum() * ANGLES)
    maps = (maps - mean) * weight
    norm = np.sqrt((maps**2).sum((1, 2), keepdims=True))
    return np.where(norm > 1e-6, maps / np.maximum(norm, 1e-30), 0).astype(np.float32)


def _transforms(flat_NHW: np.ndarray, recentre: bool) -> np.ndarray:
    small = flat_NHW if flat_NHW.shape[-1] <= _SIZE else resample(flat_NHW, _SIZE)
    return transform(polar_maps(small, recentre=recentre))


def _candidates(
    a_NRK: np.ndarray, b_MRK: np.ndarray, threshold: float
) -> Iterator[tuple[int, int, float, float, bool]]:
    """Yield (i, j, correlation, angle of b, reflected) of the pairs above ``threshold``."""
    for i, j in pairs_above(moduli(a_NRK), moduli(b_MRK), threshold):
        value, step, reflect = correlate_turns(a_NRK, b_MRK, i, j)
        angle = step * STEP_DEG - np.where(reflect, 180.0, 0.0)
        for k in np.flatnonzero(value >= threshold):
            yield int(i[k]), int(j[k]), float(value[k]), float(angle[k]), bool(reflect[k])


def _correlate(a_HW: np.ndarray, b_HW: np.ndarray, angle_deg: float, reflect: bool) -> tuple[float, float]:
    """Return the best normalised correlation over shifts, and the angle, near the angle given."""
    b_HW = b_HW[:, ::-1] if reflect else b_HW
    quarter = round(angle_deg / 90.0)
    if abs(angle_deg - 90.0 * quarter) <= STEP_DEG:
        turned = [(np.rot90(b_HW, quarter), 90.0 * quarter)]
    else:
        turned = []
    if not turned or abs(angle_deg - 90.0 * quarter) > 0.1 * STEP_DEG:
        for offset in (-STEP_DEG / 3, 0.0, STEP_DEG / 3):
            turned.append((ndimage.rotate(b_HW, angle_deg + offset, reshape=False, order=1), angle_deg + offset))
    size = a_HW.shape[-1]
    reach = max(1, round(_MAX_SHIFT * size))
    shape = (scipy.fft.next_fast_len(size + reach, real=True),) * 2
    spectrum = scipy.fft.rfft2(a_HW, s=shape)
    near = np.r_[0 : reach + 1, -reach:0]
    best = (0.0, angle_deg)
    for image, angle in turned:
        norm = float(np.linalg.norm(a_HW) * np.linalg.norm(image))
        if norm > 0:
            curve = scipy.fft.irfft2(spectrum * np.conj(scipy.fft.rfft2(image, s=shape)), s=shape)
            best = max(best, (float(curve[np.ix_(near, near)].max()) / norm, angle))
    return best
