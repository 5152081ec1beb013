"""Cutouts of catalogued sources from a mosaic, on a common pixel scale.

Legend: N sources, H W pixels of the mosaic, S pixels of a cutout.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from equirgz.data.check.faults import find_blank
from equirgz.data.formats.fits import FitsImage, FitsOptions, load_fits
from equirgz.errors import DataError, InputError, require


@dataclass(frozen=True)
class Cutouts:
    """Cutouts in the unit of the mosaic, and the sources for which there are none.

    ``index_N`` says which catalogue row each cutout belongs to; ``missing`` maps a row to the reason.
    """

    image_NSS: np.ndarray
    index_N: np.ndarray
    missing: dict[int, str] = field(default_factory=dict)
    pixel_scale_arcsec: float = float("nan")
    unit: str = ""
    beam_arcsec: tuple[float, float, float] | None = None


def cut_mosaic(
    mosaic: FitsImage | Path | str,
    position_deg_N2: np.ndarray,
    *,
    size: int,
    pixel_scale_arcsec: float | None = None,
    min_coverage: float = 0.5,
) -> Cutouts:
    """Cut ``size`` x ``size`` pixels around every position.

    Parts outside the mosaic are NaN. With ``pixel_scale_arcsec`` the cutout is resampled to that
    scale by linear interpolation, after averaging with a Gaussian where pixels grow, so that it
    covers ``size * pixel_scale_arcsec`` of sky. Surface brightness per beam is kept, as is the beam.
    A source outside the mosaic, with less than ``min_coverage`` of its pixels finite, or with one value
    in all of them, is listed in ``missing``. Raises DataError when the mosaic has no sky coordinates.
    """
    mosaic = mosaic if isinstance(mosaic, FitsImage) else load_fits(mosaic)
    if mosaic.wcs is None:
        raise DataError(f"{mosaic.path}: expected sky coordinates in the mosaic's header, got none")
    require(size >= 1, "cutout size", expected="at least 1 pixel", got=size)
    scale = mosaic.pixel_scale_arcsec if pixel_scale_arcsec is None else pixel_scale_arcsec
    ratio = scale / mosaic.pixel_scale_arcsec
    images, index, missing = [], [], {}
    for row, image_SS, reason in _cut_each(mosaic, np.asarray(position_deg_N2, float), size, ratio):
        covered = 0.0 if image_SS is None else float(np.isfinite(image_SS).mean())
        if image_SS is None:
            missing[row] = reason
        elif covered < min_coverage:
            missing[row] = f"only {100 * covered:.0f} % of the cutout is observed"
        elif find_blank(image_SS):
            missing[row] = find_blank(image_SS)
        else:
            images.append(image_SS)
            index.append(row)
    image_NSS = np.stack(images) if images else np.zeros((0, size, size), np.float32)
    return Cutouts(image_NSS, np.array(index, dtype=np.int64), missing, scale, mosaic.unit, mosaic.beam_arcsec)


def cut_mosaics(
    mosaics: list[Path],
    position_deg_N2: np.ndarray,
    *,
    size: int,
    pixel_scale_arcsec: float | None = None,
    options: FitsOptions | None = None,
) -> Cutouts:
    """Cut every position from the first mosaic that covers it (see :func:`cut_mosaic`).

    ``options`` say which image of a file is meant. ``missing`` says why of every mosaic, in their order; the beam is
    that of the last. Raises InputError for mosaics of several pixel scales without ``pixel_scale_arcsec``, and for
    mosaics in several units.
    """
    left = np.arange(len(position_deg_N2))
    images, index, cuts = [np.zeros((0, size, size), np.float32)], [np.zeros(0, np.int64)], None
    missing: dict[int, str] = {}
    scales, units = [], []
    for path in mosaics:
        mosaic = (options or FitsOptions()).load(path)
        cuts = cut_mosaic(mosaic, position_deg_N2[left], size=size, pixel_scale_arcsec=pixel_scale_arcsec)
        images.append(cuts.image_NSS)
        index.append(left[cuts.index_N])
        reasons = {int(left[row]): f"{Path(path).name}: {reason}" for row, reason in cuts.missing.items()}
        missing = {row: "; ".join(filter(None, (missing.get(row), why))) for row, why in reasons.items()}
        left = np.delete(left, cuts.index_N)
        scales.append(cuts.pixel_scale_arcsec)
        units.append(cuts.unit)
    check_alike([Path(path).name for path in mosaics], scales, units)
    found = Cutouts(np.concatenate(images), np.concatenate(index), missing)
    if cuts is None:
        return replace(found, missing=dict.fromkeys(left.tolist(), "no mosaic given"))
    scale = cuts.pixel_scale_arcsec
    return replace(found, pixel_scale_arcsec=scale, unit=cuts.unit, beam_arcsec=cuts.beam_arcsec)


def check_alike(names: list[str], scales_arcsec: list[float], units: list[str], *, bare: bool = True) -> None:
    """Raise InputError unless images have one pixel scale, to 2 %, and one unit; those without it are not compared.

    With ``bare`` false an image without a unit does not go with one that has one.
    """
    units = units if bare or not any(units) else [unit or "none" for unit in units]
    for what, values, differ, mend in (
        ("pixel scale", scales_arcsec, _scales_differ, "set pixel_scale_arcsec to resample them to one"),
        ("unit", units, str.__ne__, "convert them to one, or read them apart"),
    ):
        known = [k for k, value in enumerate(values) if value and value == value]
        other = next((k for k in known if differ(values[known[0]], values[k])), None)
        if other is not None:
            got = " and ".join(f"{_show(values[k])} ({names[k]})" for k in (known[0], other))
            raise InputError("images", expected=f"the same {what} in all", got=got, mend=mend)


def _show(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g} arcsec"


def _scales_differ(a: float, b: float) -> bool:
    return not np.isclose(a, b, rtol=0.02)


def _cut_each(
    mosaic: FitsImage, position_deg_N2: np.ndarray, size: int, ratio: float
) -> Iterator[tuple[int, np.ndarray | None, str]]:
    from astropy.coordinates import SkyCoord
    from astropy.nddata import Cutout2D, NoOverlapError

    known_N = np.isfinite(position_deg_N2).all(1)
    pixel_N2 = np.full(position_deg_N2.shape, np.nan)
    if known_N.any():
        sky = SkyCoord(position_deg_N2[known_N], unit="deg")
        pixel_N2[known_N] = np.stack(mosaic.wcs.world_to_pixel(sky), -1)
    resampled = abs(ratio - 1) > 1e-6
    for row, (x, y) in enumerate(pixel_N2):
        if not (np.isfinite(x) and np.isfinite(y)):
            yield row, None, "no position, or behind the projection"
            continue
        try:
            if resampled:
                yield row, _resample_cut(mosaic.image_HW, x, y, size, ratio), ""
            else:
                cut = Cutout2D(mosaic.image_HW, (x, y), size, mode="partial", fill_value=np.nan)
                yield row, cut.data.astype(np.float32), ""
        except NoOverlapError:
            yield row, None, "outside the mosaic"


def resample_image(image_HW: np.ndarray, ratio: float) -> np.ndarray:
    """Return an image on pixels ``ratio`` times as large, about the same centre (see :func:`cut_mosaic`)."""
    height, width = image_HW.shape
    size = max(1, round(max(height, width) / ratio))
    return _resample_cut(image_HW, (width - 1) / 2, (height - 1) / 2, size, ratio)


def _resample_cut(image_HW: np.ndarray, x: float, y: float, size: int, ratio: float) -> np.ndarray:
    """Interpolate size x size points ``ratio`` mosaic pixels apart, centred on (x, y)."""
    from astropy.nddata import Cutout2D

    sigma = 0.5 * np.sqrt(max(ratio**2 - 1, 0.0)) / np.sqrt(2 * np.log(2))
    reach = int(np.ceil(size * ratio / 2 + 4 * sigma + 2))
    cut = Cutout2D(image_HW, (x, y), 2 * reach + 1, mode="partial", fill_value=np.nan)
    data = cut.data.astype(np.float64)
    known = np.isfinite(data)
    weight = known.astype(np.float64)
    data = np.where(known, data, 0.0)
    if sigma > 0:
        data, weight = ndimage.gaussian_filter(data, sigma), ndimage.gaussian_filter(weight, sigma)
    centre_x, centre_y = cut.input_position_cutout
    offset = (np.arange(size) - (size - 1) / 2) * ratio
    points = np.meshgrid(centre_y + offset, centre_x + offset, indexing="ij")
    value = ndimage.map_coordinates(data, points, order=1, cval=0.0)
    share = ndimage.map_coordinates(weight, points, order=1, cval=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(share > 0.5, value / share, np.nan).astype(np.float32)
