"""What can be measured alike on real and on simulated images: size, shape, concentration, core, companions.

An image is what an archive holds: clipped below the noise, in a disk, its brightest pixel 255. The faintest lit value
is taken off first, since some archives did so and others did not. Legend: N sources, H W pixels.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

#: name -> meaning, in the order of the columns
MEASURES = {
    "log_las": "ln of the largest angular size of the lit target, arcsec",
    "log_rms_radius": "ln of the flux-weighted rms distance from the centroid, arcsec",
    "concentration": "share of the target's flux within half its rms radius of the brightest pixel",
    "fr_ratio": "distance of the peaks of both halves over the size",
    "core_share": "share of the target's flux in a beam at the brightest pixel near the image's centre",
    "peak_share": "share of the target's flux in a beam at its brightest pixel",
    "axial_ratio": "minor over major axis of the second moments",
    "asymmetry": "flux difference over sum of both halves",
    "curvature": "distance of the middle's centroid from the line between those of the ends, over the size",
    "offset": "distance of the centroid from the image's centre over the size",
    "log_pixels": "ln of the target's lit pixels",
    "parts": "lit regions of the target, at most 6",
    "others_share": "share of the image's flux outside the target",
    "specks": "lit regions of 1 to 4 pixels, at most 40",
}
JOIN_PX, SPECK_PX, PART_SHARE, NEAR_PX, CORE_PX = 4, 4, 0.03, 60, 6


def prepare(image_HW: np.ndarray) -> np.ndarray:
    """Return an image as float64 within its disk, the faintest lit value taken off, the peak 1 (0 where dark)."""
    value = np.asarray(image_HW, np.float64)
    axis = np.arange(value.shape[0]) - value.shape[0] // 2
    value = np.where(np.hypot(axis[:, None], axis[None]) <= value.shape[0] // 2, value, 0)
    lit = value > 0
    if not lit.any():
        return value
    low, high = value[lit].min(), value.max()
    return np.where(lit, (value - low + 1) / (high - low + 1), 0)


def split_target(value_HW: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Return the mask of the target, the number of its lit regions, and the number of specks.

    Regions nearer than 2 ``JOIN_PX`` hang together. The group with the most flux for its distance from the centre is
    of the target, and so are those that oppose it about the centre, or each other where it is a core there, and near
    ones with a third of its flux.
    """
    lit = value_HW > 0
    regions, n_regions = ndimage.label(lit, np.ones((3, 3)))
    area = ndimage.sum_labels(lit, regions, np.arange(1, n_regions + 1)) if n_regions else np.zeros(0)
    specks = int((area <= SPECK_PX).sum())
    solid = np.isin(regions, 1 + np.flatnonzero(area > SPECK_PX))
    if not solid.any():
        return np.zeros_like(lit), 0, specks
    reach = ndimage.distance_transform_edt(~solid) <= JOIN_PX
    groups, n_groups = ndimage.label(reach, np.ones((3, 3)))
    groups = np.where(solid, groups, 0)
    index = np.arange(1, n_groups + 1)
    flux = ndimage.sum_labels(value_HW, groups, index)
    centre = (np.array(value_HW.shape) - 1) / 2
    place = np.array(ndimage.center_of_mass(value_HW, groups, index)) - centre
    distance = np.hypot(*place.T)
    best = int(np.argmax(flux / (10 + distance) ** 1.5))
    length = np.maximum(distance, 1e-9)
    cosine = place @ place.T / length[:, None] / length[None]
    ratio = length[:, None] / length[None]
    bright = flux > PART_SHARE * flux.max()
    across = (cosine < -0.6) & (ratio < 3) & (ratio > 1 / 3) & bright[None]
    # lobes oppose each other about a central core, or one of them opposes the other
    opposed = across.any(1) & bright if distance[best] <= CORE_PX else across[:, best] & bright
    near = (distance < np.minimum(NEAR_PX, 15 + 1.5 * distance[best])) & (flux > flux[best] / 3)
    chosen = opposed | near
    chosen[best] = True
    mask = np.isin(groups, index[chosen])
    return mask, int(len(np.unique(regions[mask]))), specks


def measure_image(image_HW: np.ndarray, pixel_scale_arcsec: float, beam_arcsec: float) -> dict[str, float]:
    """Return the measures of one image (see ``MEASURES``); all NaN where nothing but specks is lit."""
    value = prepare(image_HW)
    mask, parts, specks = split_target(value)
    if mask.sum() < 3:
        return {**dict.fromkeys(MEASURES, np.nan), "specks": min(specks, 40)}
    rows, columns = np.nonzero(mask)
    flux = value[rows, columns]
    total = flux.sum()
    points = np.stack([rows, columns], 1).astype(float)
    middle = (flux[:, None] * points).sum(0) / total
    off = points - middle
    moments = (flux[:, None, None] * off[:, :, None] * off[:, None]).sum(0) / total
    (minor, major), axes = np.linalg.eigh(moments)
    along = off @ axes[:, 1]
    las = _greatest_distance(points) + 1
    first = along < 0
    halves = flux[first].sum(), flux[~first].sum()
    peaks = [points[part][flux[part].argmax()] for part in (first, ~first) if part.any()]
    peak = points[flux.argmax()]
    half_beam = max(beam_arcsec / pixel_scale_arcsec / 2, 1)
    centre = (np.array(value.shape) - 1) / 2
    near = np.hypot(*(points - centre).T) <= 1.5 * half_beam + 1
    core = points[near][flux[near].argmax()] if near.any() else centre
    rms = np.sqrt(minor + major)

    def share(place: np.ndarray, radius: float) -> float:
        return float(flux[np.hypot(*(points - place).T) <= radius].sum() / total)

    third = np.quantile(along, [1 / 3, 2 / 3])
    pieces = [along <= third[0], (along > third[0]) & (along < third[1]), along >= third[1]]
    spots = [(flux[p][:, None] * off[p]).sum(0) / max(flux[p].sum(), 1e-12) if p.any() else off[0] for p in pieces]
    chord = spots[2] - spots[0]
    bow = abs(chord[0] * (spots[1] - spots[0])[1] - chord[1] * (spots[1] - spots[0])[0]) / max(np.hypot(*chord), 1e-9)
    return {
        "log_las": np.log(las * pixel_scale_arcsec),
        "log_rms_radius": np.log(max(rms, 0.5) * pixel_scale_arcsec),
        "concentration": share(peak, rms / 2),
        "fr_ratio": float(np.hypot(*(peaks[0] - peaks[-1]))) / las,
        "core_share": share(core, half_beam),
        "peak_share": share(peak, half_beam),
        "axial_ratio": float(np.sqrt(max(minor, 0) / max(major, 1e-9))),
        "asymmetry": abs(halves[0] - halves[1]) / total,
        "curvature": float(bow) / las,
        "offset": float(np.hypot(*(middle - centre))) / las,
        "log_pixels": np.log(len(flux)),
        "parts": min(parts, 6),
        "others_share": max(0.0, float(1 - total / value.sum())),
        "specks": min(specks, 40),
    }


def _greatest_distance(points_P2: np.ndarray) -> float:
    try:
        points_P2 = points_P2[ConvexHull(points_P2).vertices]
    except QhullError:  # all on one line
        points_P2 = points_P2[[points_P2.sum(1).argmin(), points_P2.sum(1).argmax()]]
    return float(np.hypot(*(points_P2[:, None] - points_P2[None]).T).max())


def measure_images(image_NHW: np.ndarray, pixel_scale_arcsec: float, beam_arcsec: float) -> pd.DataFrame:
    """Return the measures of every image, one row each, columns as in ``MEASURES``."""
    rows = [measure_image(image, pixel_scale_arcsec, beam_arcsec) for image in image_NHW]
    return pd.DataFrame(rows, columns=list(MEASURES))
