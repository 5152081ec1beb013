"""Radio images in FITS: any byte order, scaling, compression or extra axis; units and faults kept."""

from __future__ import annotations

import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from astropy.wcs.utils import proj_plane_pixel_scales

from equirgz.data.sigma import clipped_std
from equirgz.errors import DataError, InputError, explain

SKY_LONGITUDES = ("RA", "GLON")


@dataclass(frozen=True)
class FitsImage:
    """One two-dimensional image with its scale, unit and beam.

    Parameters
    ----------
    image_HW : float32, native byte order, row 0 as in the file (south); NaN kept.
    pixel_scale_arcsec : geometric mean of the two sides; NaN without a sky coordinate system.
    unit : as astropy writes it, e.g. ``Jy / beam``; empty where the header has none.
    n_nan : number of NaN or infinite pixels.
    beam_arcsec : (major, minor, position angle in degrees) of the restoring beam, or None.
    wcs : celestial coordinate system, or None.
    """

    image_HW: np.ndarray
    pixel_scale_arcsec: float
    unit: str
    n_nan: int
    beam_arcsec: tuple[float, float, float] | None
    wcs: WCS | None
    header: fits.Header = field(repr=False)
    path: str = ""

    @property
    def centre_deg(self) -> tuple[float, float]:
        """Right ascension and declination (ICRS, degrees) of the central point, whatever frame the header has.

        NaN without a WCS, and for axes that are neither equatorial nor Galactic (ecliptic, of the Earth, the Sun
        or a planet).
        """
        if self.wcs is None or self.wcs.wcs.lngtyp not in SKY_LONGITUDES:
            return float("nan"), float("nan")
        height, width = self.image_HW.shape
        sky = self.wcs.pixel_to_world((width - 1) / 2, (height - 1) / 2)
        if not isinstance(sky, SkyCoord):  # bare numbers: a RADESYS that astropy does not know
            return float("nan"), float("nan")
        return float(sky.icrs.ra.deg), float(sky.icrs.dec.deg)


def load_fits(path: Path | str, *, hdu: int | None = None, plane: int | None = None) -> FitsImage:
    """Read the first image of a FITS file (plain, gzip, tile-compressed), or that of HDU ``hdu``.

    Axes of length 1 (Stokes, frequency) are dropped; of a cube, ``plane`` picks one plane of the
    flattened leading axes. BSCALE, BZERO and BLANK are applied. Raises DataError when the file is
    missing, damaged, holds no image, holds a cube and no ``plane`` is given, or is all NaN.
    """
    path = Path(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # headers of old surveys break rules of the standard in harmless ways
        try:
            with fits.open(path, memmap=False) as hdus:
                index, data, header = _find_image(hdus, path, hdu)
        except (OSError, ValueError, TypeError, IndexError, EOFError, zlib.error, fits.VerifyError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(
                f"{path}: expected a readable FITS file, got: {reason}; fetch or write it again"
            ) from error
    image_HW = _drop_axes(np.asarray(data), path, index, plane)
    image_HW = np.ascontiguousarray(image_HW, dtype=np.float32)
    n_nan = int((~np.isfinite(image_HW)).sum())
    if n_nan == image_HW.size:
        raise DataError(
            f"{path}: expected finite pixels, got NaN in all {n_nan}; the field was not observed, drop it"
        )
    wcs = celestial_wcs(header)
    return FitsImage(
        image_HW=image_HW,
        pixel_scale_arcsec=pixel_scale_arcsec(wcs),
        unit=_unit(header),
        n_nan=n_nan,
        beam_arcsec=_beam(header),
        wcs=wcs,
        header=header,
        path=str(path),
    )


def _find_image(hdus: fits.HDUList, path: Path, wanted: int | None) -> tuple[int, np.ndarray, fits.Header]:
    kinds = (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)
    candidates = [
        i for i, hdu in enumerate(hdus) if isinstance(hdu, kinds) and hdu.header.get("NAXIS", 0) >= 2
    ]
    if wanted is not None:
        candidates = [i for i in candidates if i == wanted]
    if not candidates:
        where = "any HDU" if wanted is None else f"HDU {wanted}"
        kinds_found = ", ".join(type(hdu).__name__ for hdu in hdus)
        raise DataError(f"{path}: expected an image of two axes in {where}, got {kinds_found} without one")
    hdu = hdus[candidates[0]]
    data = hdu.data
    if data is None:
        raise DataError(f"{path}: expected pixels in HDU {candidates[0]}, got none")
    return candidates[0], np.array(data), hdu.header.copy()


def _drop_axes(data: np.ndarray, path: Path, index: int, plane: int | None) -> np.ndarray:
    planes = data.reshape(-1, *data.shape[-2:])
    if len(planes) == 1 and plane in (None, 0):
        return planes[0]
    if plane is None:
        raise DataError(
            f"{path}: expected one plane in HDU {index}, got a cube {data.shape}; say which with plane=N"
        )
    if not 0 <= plane < len(planes):
        raise InputError(explain(f"{path}: plane", expected=f"0 to {len(planes) - 1}", got=plane))
    return planes[plane]


def celestial_wcs(header: fits.Header) -> WCS | None:
    """Return the two-dimensional sky coordinates of a header, or None where it has none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        try:
            wcs = WCS(header).celestial
        except Exception:  # wcslib raises many kinds for broken headers; an image without WCS is still one
            return None
    return wcs if wcs.naxis == 2 and wcs.has_celestial else None


def pixel_scale_arcsec(wcs: WCS | None) -> float:
    """Return the geometric-mean side of a pixel, arcsec; NaN without a coordinate system."""
    if wcs is None:
        return float("nan")
    return float(np.sqrt(np.prod(proj_plane_pixel_scales(wcs))) * 3600.0)


def _unit(header: fits.Header) -> str:
    text = str(header.get("BUNIT", "")).strip()
    if not text:
        return ""
    for spelling in (text, text.replace("JY", "Jy").replace("BEAM", "beam").replace("PIXEL", "pixel")):
        try:
            return units.Unit(spelling, format="fits").to_string()
        except ValueError:
            try:
                return units.Unit(spelling).to_string()
            except ValueError:
                continue
    return text


def _beam(header: fits.Header) -> tuple[float, float, float] | None:
    if not {"BMAJ", "BMIN"} <= set(header):
        return None
    try:
        return float(header["BMAJ"]) * 3600, float(header["BMIN"]) * 3600, float(header.get("BPA", 0.0))
    except (TypeError, ValueError):
        return None


def find_faults(image: FitsImage, *, detection_sigma: float = 5.0, centre_arcsec: float = 27.0) -> list[str]:
    """Return what is wrong with a cutout of one source, one phrase per fault (none: empty list).

    Looked for: NaN pixels; patches of exact zeros; no pixel above ``detection_sigma`` in the central
    half (noise only); a brightest pixel outside the target, when nothing within ``centre_arcsec`` of
    the centre is above ``detection_sigma`` (mis-centred).
    """
    faults = []
    image_HW = image.image_HW
    if image.n_nan:
        share = 100 * image.n_nan / image_HW.size
        faults.append(f"{image.n_nan} NaN pixels ({share:.1f} %)")
    n_zero = int((image_HW == 0).sum())
    if n_zero > 0.001 * image_HW.size:
        faults.append(f"{n_zero} pixels exactly zero")
    std = clipped_std(image_HW)
    height, width = image_HW.shape
    middle = image_HW[height // 4 : height - height // 4, width // 4 : width - width // 4]
    if not np.nanmax(middle) > detection_sigma * std:
        faults.append("noise only")
    elif np.isfinite(image.pixel_scale_arcsec):
        reach = max(1, round(centre_arcsec / image.pixel_scale_arcsec))
        core = image_HW[
            max(0, height // 2 - reach) : height // 2 + reach, max(0, width // 2 - reach) : width // 2 + reach
        ]
        if not np.nanmax(core) > detection_sigma * std:
            faults.append("nothing at the centre: mis-centred or missing data")
    return faults
