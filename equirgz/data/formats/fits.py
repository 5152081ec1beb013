"""Radio images in FITS: any byte order, scaling, compression or extra axis; units and faults kept."""

from __future__ import annotations

import re
import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from equirgz.data.formats.hdus import find_image
from equirgz.data.formats.planes import Plane, check_plane, frequency_hz, take_plane
from equirgz.data.formats.units import JY_PER_BEAM, Sampling, factor_to_jy_per_beam, parse_unit
from equirgz.errors import DataError, InputError
from equirgz.paths import as_path

if TYPE_CHECKING:  # the functions import it: workers that read no FITS start sooner
    from astropy.io import fits
    from astropy.wcs import WCS

SKY_LONGITUDES = ("RA", "GLON")
_STEP = re.compile(r"(?:CDELT|CD|PC)(\d+)(?:_\d+)?$")


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
        from astropy.coordinates import SkyCoord

        if self.wcs is None or self.wcs.wcs.lngtyp not in SKY_LONGITUDES:
            return float("nan"), float("nan")
        height, width = self.image_HW.shape
        sky = self.wcs.pixel_to_world((width - 1) / 2, (height - 1) / 2)
        if not isinstance(sky, SkyCoord):  # bare numbers: a RADESYS that astropy does not know
            return float("nan"), float("nan")
        return float(sky.icrs.ra.deg), float(sky.icrs.dec.deg)


@dataclass(frozen=True)
class FitsOptions:
    """Which image of a FITS file is meant, and in which unit it is: the options of every reader of FITS.

    Parameters
    ----------
    hdu : index or EXTNAME of the image in a FITS file; None: the one that is no weight, mask or error map.
    plane : of a cube, e.g. ``stokes=I``, ``frequency=2`` or a number from 0; also of pictures with several pages.
    unit : of the pixels of FITS maps, in place of the header's BUNIT, e.g. ``mJy/beam``.
    """

    hdu: int | str | None = None
    plane: Plane | None = None
    unit: str | None = None

    def load(self, path: Path | str) -> FitsImage:
        """Read a FITS file with these options (see :func:`load_fits`)."""
        return load_fits(path, hdu=self.hdu, plane=self.plane, unit=self.unit)


def load_fits(
    path: Path | str,
    *,
    hdu: int | str | None = None,
    plane: Plane | None = None,
    unit: str | None = None,
    convert: bool = True,
) -> FitsImage:
    """Read the image of a FITS file (plain, gzip, tile-compressed), in Jy/beam where its unit can be converted.

    Parameters
    ----------
    hdu, plane, unit : see :class:`FitsOptions`.
    convert : False leaves the pixels in their unit.

    Rows are latitudes, columns longitudes. BSCALE, BZERO and BLANK are applied. mJy/beam and the like become Jy/beam;
    so do Jy/sr, Jy/pixel and kelvin where the header has beam (and frequency): :func:`factor_to_jy_per_beam`.
    Other units, and none, stay. Raises DataError when the file is missing, damaged, holds no image or several, holds a
    cube and no ``plane`` that picks one, or is all NaN; InputError for a ``plane`` or ``unit`` that is not one.
    """
    from astropy.io import fits

    path = as_path(path)
    check_plane(plane)
    if unit is not None and parse_unit(unit) is None:
        raise InputError("unit", expected="a unit such as mJy/beam", got=unit)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # headers of old surveys break rules of the standard in harmless ways
        try:
            with fits.open(path, memmap=False) as hdus:
                index = find_image(hdus, path, hdu)
                data, header = np.array(hdus[index].data), hdus[index].header.copy()
        except (OSError, ValueError, TypeError, IndexError, EOFError, zlib.error, fits.VerifyError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"{path}: expected a readable FITS file, got: {reason}; fetch or write it again") from error
    if data.ndim < 2:
        raise DataError(f"{path}: expected pixels in HDU {index}, got none")
    wcs = celestial_wcs(header)
    beam = _beam(header)
    sampling = _sampling(wcs, beam, frequency_hz(header, plane))
    written, factor = read_unit(header if unit is None else unit, sampling if convert else None)
    image_HW = take_plane(data, header, path, plane)
    if factor is not None and factor != 1:
        image_HW = image_HW * np.float64(factor)
    image_HW = np.ascontiguousarray(image_HW, dtype=np.float32)
    n_nan = int((~np.isfinite(image_HW)).sum())
    if n_nan == image_HW.size:
        raise DataError(f"{path}: expected finite pixels, got NaN in all {n_nan}; the field was not observed, drop it")
    return FitsImage(
        image_HW=image_HW,
        pixel_scale_arcsec=pixel_scale_arcsec(wcs),
        unit=written if factor is None else JY_PER_BEAM,
        n_nan=n_nan,
        beam_arcsec=beam,
        wcs=wcs,
        header=header,
        path=str(path),
    )


def read_unit(header: fits.Header | str, sampling: Sampling | None = None) -> tuple[str, float | None]:
    """Return a header's unit as astropy writes it (else as it stands), and its factor to Jy/beam or None."""
    text = header if isinstance(header, str) else str(header.get("BUNIT", "")).strip()
    unit = parse_unit(text)
    factor = None if unit is None or sampling is None else factor_to_jy_per_beam(unit, sampling)
    return (text if unit is None else unit.to_string()), factor


def _sampling(wcs: WCS | None, beam_arcsec: tuple[float, float, float] | None, frequency: float | None) -> Sampling:
    from astropy import units

    arcsec2 = float((1 * units.arcsec**2).to_value(units.sr))
    side = pixel_scale_arcsec(wcs)
    beam_sr = None if beam_arcsec is None else np.pi / (4 * np.log(2)) * beam_arcsec[0] * beam_arcsec[1] * arcsec2
    return Sampling(beam_sr, side**2 * arcsec2 if np.isfinite(side) else None, frequency)


def celestial_wcs(header: fits.Header) -> WCS | None:
    """Return the sky coordinates (longitude first) of a header, or None where it has none, or no step of one of them.

    A header of axes without CDELT, CD or PC would be read as one of pixels of a degree, the standard's default.
    """
    from astropy.io.fits.verify import VerifyWarning
    from astropy.wcs import WCS, WCSSUB_LATITUDE, WCSSUB_LONGITUDE, FITSFixedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        warnings.simplefilter("ignore", VerifyWarning)
        try:
            whole = WCS(header)
            wcs = whole.sub([WCSSUB_LONGITUDE, WCSSUB_LATITUDE])
        except Exception:  # wcslib raises many kinds for broken headers; an image without WCS is still one
            return None
    stepped = {int(found[1]) for key in header if (found := _STEP.match(key))}
    known = wcs.naxis == 2 and wcs.has_celestial and {whole.wcs.lng + 1, whole.wcs.lat + 1} <= stepped
    return wcs if known else None


def pixel_scale_arcsec(wcs: WCS | None) -> float:
    """Return the geometric-mean side of a pixel, arcsec; NaN without a coordinate system."""
    if wcs is None:
        return float("nan")
    from astropy.wcs.utils import proj_plane_pixel_scales

    return float(np.sqrt(np.prod(proj_plane_pixel_scales(wcs))) * 3600.0)


def _beam(header: fits.Header) -> tuple[float, float, float] | None:
    if not {"BMAJ", "BMIN"} <= set(header):
        return None
    try:
        beam = float(header["BMAJ"]) * 3600, float(header["BMIN"]) * 3600, float(header.get("BPA", 0.0))
    except (TypeError, ValueError):
        return None
    return beam if min(beam[:2]) > 0 else None
