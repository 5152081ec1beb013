"""One image of one source as a model knows them: resampled, smoothed, clipped, with what is wrong with it.

    raw map  ->  smooth to the beam  ->  resample to the pixel scale  ->  measure the noise, clip, cut, scale to bytes

Legend: H W pixels, S pixels of the model's field.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from equirgz.answers.source_model import Sky
from equirgz.data.check.faults import find_fault_kinds, refuse_blank
from equirgz.data.noise_level import clipped_std
from equirgz.data.preprocess import fit_size
from equirgz.data.recipes import Recipe
from equirgz.data.simulate.measure import prepare, split_target
from equirgz.data.sky.mosaic import resample_image
from equirgz.errors import DataError

SAME_SCALE = 0.02  # relative difference of pixel scales that counts as none
FINER, COARSER = 0.8, 1.5  # beams over the model's between which no image is smoothed or refused
FLAG_OF_FAULT = {
    "nan": "missing_pixels",
    "zeros": "missing_pixels",
    "noise_only": "noise_only",
    "off_centre": "off_centre",
}
CLIPPED_SHARE = 0.2  # of exact zeros from which on an image counts as clipped already
CENTRE_ARCSEC = 27.0


@dataclass(frozen=True)
class Sighting:
    """A source's image in the model's field, bytes as archives hold them, with what was found on the way.

    ``snr`` is the brightest pixel of the central half over the noise (NaN: unknown); ``flags`` are of
    :data:`equirgz.answers.rules.FLAGS`; ``done`` says what was changed and ``wrong`` what is amiss, in words.
    """

    source_id: str
    image_SS: np.ndarray
    file: str = ""
    position_deg: tuple[float, float] = (float("nan"), float("nan"))
    snr: float = float("nan")
    flags: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


def see_map(raw_HW: np.ndarray, sky: Sky, *, scale_arcsec: float, beam_arcsec: float, source: str = "") -> Sighting:
    """Return how a model sees a raw map with its noise, in whatever unit.

    Raises DataError for a map with one value alone, and for a beam or pixels much coarser than the model's, with the
    numbers. A map with nothing above the noise gives an image of zeros, flagged ``noise_only``.
    """
    raw_HW = np.where(np.isfinite(raw_HW), raw_HW, np.nan).astype(np.float32)
    refuse_blank(raw_HW, source)
    raw_HW, flags, words = _match(raw_HW, sky, scale_arcsec, beam_arcsec, source)
    faults = find_fault_kinds(raw_HW, sky.pixel_scale_arcsec, centre_arcsec=CENTRE_ARCSEC)
    flags += [FLAG_OF_FAULT[kind] for kind in faults]
    words += list(faults.values())
    side = sky.field_px
    whole_HW = fit_size(raw_HW, max(*raw_HW.shape, side), fill=np.nan)
    recipe = Recipe(size=side, n_sigma=sky.n_sigma, mask_radius_px=side / 2)
    image_SS = recipe(whole_HW[None])[0]
    noise = clipped_std(whole_HW)
    middle_HW = fit_size(whole_HW, side // 2)
    snr = float(np.max(middle_HW, where=np.isfinite(middle_HW), initial=-np.inf)) / noise if noise > 0 else np.nan
    if not image_SS.any():
        flags.append("noise_only")
    flags += _edge(image_SS, np.isfinite(fit_size(whole_HW, side)))
    return Sighting(source, image_SS, snr=snr, flags=tuple(dict.fromkeys(flags)), words=tuple(words))


def see_image(image_HW: np.ndarray, sky: Sky, *, scale_arcsec: float, beam_arcsec: float, source: str = "") -> Sighting:
    """Return how a model sees an image that may be clipped and scaled already, as pictures and archives hold them.

    Where less than a fifth of the pixels are exactly zero the noise is still there: :func:`see_map`.
    """
    finite_HW = np.nan_to_num(image_HW, nan=0.0, posinf=0.0, neginf=0.0)
    if (finite_HW == 0).mean() < CLIPPED_SHARE:
        return see_map(image_HW, sky, scale_arcsec=scale_arcsec, beam_arcsec=beam_arcsec, source=source)
    refuse_blank(finite_HW, source)
    whole_HW, flags, words = _match(finite_HW.astype(np.float32), sky, scale_arcsec, beam_arcsec, source)
    seen_SS = fit_size(np.ones(whole_HW.shape, bool), sky.field_px)
    field_SS = np.maximum(np.nan_to_num(fit_size(whole_HW, sky.field_px)), 0)
    axis = np.arange(sky.field_px) - sky.field_px // 2
    field_SS = np.where(np.hypot(axis[:, None], axis[None]) <= sky.field_px / 2, field_SS, 0)
    top = field_SS.max()
    if not top > 0:
        raise DataError(f"{source}: expected pixels above zero in the field of {sky.field_px} px, got none")
    image_SS = (field_SS / top * 255).astype(np.uint8)
    lit = field_SS[field_SS > 0]
    reach = max(1, round(CENTRE_ARCSEC / sky.pixel_scale_arcsec))
    if not fit_size(image_SS, 2 * reach).any():
        flags.append("off_centre")
        words.append("nothing at the centre: mis-centred or missing data")
    flags += _edge(image_SS, seen_SS)
    return Sighting(source, image_SS, snr=float(sky.n_sigma * top / lit.min()), flags=tuple(flags), words=tuple(words))


def _match(
    image_HW: np.ndarray, sky: Sky, scale: float, beam: float, source: str
) -> tuple[np.ndarray, list[str], list[str]]:
    """Return the image with the model's beam and pixel scale, flags and words; DataError where there is no way."""
    flags, words = [], []
    name = f"that of {sky.survey}"
    if beam > COARSER * sky.beam_arcsec:
        expected = f"a beam of at most {COARSER * sky.beam_arcsec:.3g} arcsec, {COARSER:g} times {name}"
        mend = "take a model of its survey (--model), or make one: equirgz pretrain --survey FIELD.fits"
        raise DataError(source, expected=expected, got=f"{beam:.3g} arcsec", mend=mend)
    if scale > COARSER * sky.pixel_scale_arcsec:
        expected = f"pixels of at most {COARSER * sky.pixel_scale_arcsec:.3g} arcsec, {COARSER:g} times {name}"
        mend = "take a model of its survey (--model), or give the scale with --pixel-scale where the header is wrong"
        raise DataError(source, expected=expected, got=f"{scale:.3g} arcsec", mend=mend)
    if beam < FINER * sky.beam_arcsec:
        image_HW = _smooth(image_HW, np.sqrt(sky.beam_arcsec**2 - beam**2) / scale / np.sqrt(8 * np.log(2)))
        flags.append("smoothed")
        words.append(f"smoothed from a beam of {beam:.3g} to {sky.beam_arcsec:.3g} arcsec")
    if abs(scale / sky.pixel_scale_arcsec - 1) > SAME_SCALE:
        image_HW = resample_image(image_HW, sky.pixel_scale_arcsec / scale)
        flags.append("rescaled")
        words.append(f"resampled from {scale:.3g} to {sky.pixel_scale_arcsec:.3g} arcsec per pixel")
    return image_HW, flags, words


def _smooth(image_HW: np.ndarray, sigma_px: float) -> np.ndarray:
    """Return the image through a Gaussian of unit integral; NaN stays and takes no part."""
    known_HW = np.isfinite(image_HW)
    share_HW = ndimage.gaussian_filter(known_HW.astype(float), sigma_px)
    value_HW = ndimage.gaussian_filter(np.where(known_HW, image_HW, 0).astype(float), sigma_px)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known_HW, value_HW / share_HW, np.nan).astype(np.float32)


def _edge(image_SS: np.ndarray, seen_SS: np.ndarray) -> list[str]:
    """Return ``at_edge`` where the source itself meets pixels that are not there, or the border of the field."""
    axis = np.arange(len(image_SS)) - len(image_SS) // 2
    inside_SS = np.hypot(axis[:, None], axis[None]) <= len(image_SS) / 2 - 1
    rim_SS = (image_SS > 0) & ~ndimage.binary_erosion(seen_SS & inside_SS)
    if not rim_SS.any():
        return []
    target_SS, _, _ = split_target(prepare(image_SS))
    return ["at_edge"] if (target_SS & rim_SS).any() else []


def named(sighting: Sighting, source_id: str, file: str, position_deg: tuple[float, float]) -> Sighting:
    """Return a sighting with its name, file and place."""
    return replace(sighting, source_id=source_id, file=file, position_deg=position_deg)
