"""How a spectrum travels: as a row of three channels, (3, 1, L), which the trainer, grids and read-outs take as images.

The channels are flux, inverse variance of the flux, and log10 of the vacuum wavelength in angstrom, pixel by pixel as
they were observed: nothing is resampled, and every spectrum may have a grid of its own. Shorter ones end in zeros, and
a pixel of inverse variance 0 is not there. A row is one axis of pixels and not an image: no turn, stretch or disk mask
has a meaning for it, and none is applied. So whatever holds images holds spectra, and there is no second trainer.
Legend: N spectra, L pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equirgz.errors import DataError

CHANNELS = ("flux", "inverse variance", "log10 wavelength")
MEDIA = ("vacuum", "air")
IN_ANGSTROM = {"angstrom": 1.0, "a": 1.0, "aa": 1.0, "nm": 10.0, "nanometer": 10.0, "um": 1e4, "micron": 1e4, "m": 1e10}


@dataclass(frozen=True)
class Spectrum:
    """Flux and its inverse variance (1 / flux unit squared) at wavelengths (vacuum, angstrom), in ascending order.

    Raises DataError for arrays of other lengths, NaN, wavelengths that do not rise, negative inverse variance, and
    inverse variance that is zero everywhere. Flux where the inverse variance is 0 is not looked at, and kept as 0.
    """

    name: str
    wavelength_L: np.ndarray
    flux_L: np.ndarray
    ivar_L: np.ndarray

    def __post_init__(self) -> None:
        parts = {"wavelength": self.wavelength_L, "flux": self.flux_L, "inverse variance": self.ivar_L}
        parts = {what: np.asarray(value_L, np.float64) for what, value_L in parts.items()}
        wavelength_L, flux_L, ivar_L = parts.values()
        lengths = [value_L.shape for value_L in parts.values()]
        if wavelength_L.ndim != 1 or len(set(lengths)) > 1 or len(wavelength_L) < 2:
            raise self._refused("three rows of one length, two pixels or more", f"shapes {lengths}")
        if not np.isfinite(ivar_L).all():
            mend = "set the inverse variance of such pixels to 0"
            raise self._refused("inverse variances that are numbers", self._bad("inverse variance", ivar_L), mend)
        if (ivar_L < 0).any():
            raise self._refused("inverse variances of 0 or more", f"{ivar_L.min():.3g}")
        if not (ivar_L > 0).any():
            mend = "leave that spectrum out, or look at how its errors were read"
            raise self._refused("a pixel of inverse variance above 0", "0 everywhere", mend)
        flux_L = np.where(ivar_L > 0, flux_L, 0.0)
        if not np.isfinite(flux_L).all():
            mend = "set the inverse variance of such pixels to 0"
            raise self._refused("finite flux", self._bad("flux", flux_L), mend)
        if not np.isfinite(wavelength_L).all() or wavelength_L[0] <= 0:
            raise self._refused("wavelengths above 0", self._bad("wavelength", wavelength_L))
        step_L = np.diff(wavelength_L)
        if (step_L <= 0).any():
            at = int(np.argmax(step_L <= 0))
            how = "repeated" if step_L[at] == 0 else "unsorted"
            got = f"{how} ones: {wavelength_L[at]:.6g} and then {wavelength_L[at + 1]:.6g} angstrom at pixel {at}"
            mend = "sort the pixels, and join or leave out repeated ones"
            raise self._refused("wavelengths that rise from pixel to pixel", got, mend)
        for field, value_L in zip(("wavelength_L", "flux_L", "ivar_L"), (wavelength_L, flux_L, ivar_L), strict=True):
            object.__setattr__(self, field, value_L)

    def _bad(self, what: str, value_L: np.ndarray) -> str:
        return f"NaN, infinity or no {what} at pixel {int(np.argmin(np.isfinite(value_L) & (value_L > -np.inf)))}"

    def _refused(self, expected: str, got: str, mend: str | None = None) -> DataError:
        return DataError(f"spectrum {self.name}", expected=expected, got=got, mend=mend)


def to_vacuum(wavelength_L: np.ndarray, medium: str | None, unit: str | None, name: str) -> np.ndarray:
    """Return vacuum wavelengths in angstrom; DataError where the medium (air or vacuum) or the unit is not known.

    Air wavelengths a become ``a n(a)`` with the refractive index n of standard air (Morton 2000, ApJS 130, 403, as the
    VALD data base inverts it, to 1e-3 angstrom in the optical).
    """
    factor = IN_ANGSTROM.get(str(unit or "").strip().lower().rstrip("s"))
    if factor is None:
        expected = f"a unit of wavelength, one of {', '.join(sorted(IN_ANGSTROM))}"
        raise DataError(f"spectrum {name}", expected=expected, got=unit or "none", mend="say it with unit=")
    if str(medium or "").strip().lower() not in MEDIA:
        mend = "say it with medium="
        raise DataError(f"spectrum {name}", expected="wavelengths in vacuum or in air", got=medium or "none", mend=mend)
    angstrom_L = factor * np.asarray(wavelength_L, np.float64)
    if str(medium).strip().lower() == "vacuum":
        return angstrom_L
    s_L = (1e4 / angstrom_L) ** 2
    index_L = 1 + 8.336624212083e-5 + 2.408926869968e-2 / (130.1065924522 - s_L)
    return angstrom_L * (index_L + 1.599740894897e-4 / (38.92568793293 - s_L))


def to_rows(spectra: Sequence[Spectrum], length: int | None = None) -> np.ndarray:
    """Return row_N31L, float32, of spectra whose grids may differ; L is the longest's number of pixels, or ``length``.

    Raises DataError without any, and for one that is longer than ``length``.
    """
    if not spectra:
        raise DataError("spectra", expected="at least one", got="none")
    longest = max(len(spectrum.flux_L) for spectrum in spectra)
    if length is not None and longest > length:
        raise DataError("spectra", expected=f"at most {length} pixels", got=longest, mend=f"raise it to {longest}")
    row_N31L = np.zeros((len(spectra), len(CHANNELS), 1, length or longest), np.float32)
    for i, spectrum in enumerate(spectra):
        row_N31L[i, :, 0, : len(spectrum.flux_L)] = (
            spectrum.flux_L, spectrum.ivar_L, np.log10(spectrum.wavelength_L),
        )  # fmt: skip
    return row_N31L
