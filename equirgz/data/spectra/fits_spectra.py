"""Spectra in FITS tables, as SDSS and DESI lay them out, with astropy alone. Legend: T targets, L pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from equirgz.data.spectra.rows import Spectrum, to_vacuum
from equirgz.errors import DataError
from equirgz.paths import as_path

if TYPE_CHECKING:
    from astropy.io import fits

ARMS = ("B", "R", "Z")  # of DESI, from blue to red
IVAR_SUFFIX, FLUX_SUFFIX, WAVE_SUFFIX = "_IVAR", "_FLUX", "_WAVELENGTH"


@dataclass(frozen=True)
class FitsSpectra:
    """The spectra of one file, and a table's worth of what it says about each: redshift and class where they are."""

    spectra: list[Spectrum]
    facts: list[dict[str, Any]] = field(default_factory=list)


def read_spectra(path: Path | str, *, medium: str | None = None, unit: str | None = None) -> FitsSpectra:
    """Return the spectra of a FITS file of the layout of SDSS (``spec-*.fits``) or of DESI (coadds, healpix spectra).

    SDSS: a table with columns ``loglam`` (log10 angstrom) or ``wavelength``, ``flux``, ``ivar``, perhaps ``and_mask``,
    whose pixels count as lost; class and redshift from a second table's ``CLASS`` and ``Z``. DESI: images
    ``B_WAVELENGTH``, ``B_FLUX`` (T, L), ``B_IVAR``, perhaps ``B_MASK``, likewise R and Z; arms are joined where they
    overlap, the pixels of both sorted by wavelength and equal ones averaged; names from ``FIBERMAP``'s ``TARGETID``.

    Parameters
    ----------
    medium : vacuum or air; None: what the file says (``VACUUM`` in the header, ``AIRORVAC`` of DESI).
    unit : of the wavelengths; None: what the file says (the column's unit, ``BUNIT``); ``loglam`` is log10 of angstrom.

    Raises DataError for another layout, where medium or unit is neither told nor said, and as
    :class:`~equirgz.data.spectra.rows.Spectrum` does, by the name of file and target. Inverse variances that are not
    numbers count as lost pixels.
    """
    from astropy.io import fits

    path = as_path(path)
    try:
        with fits.open(path, memmap=False) as hdus:
            names = [hdu.name.upper() for hdu in hdus]
            if any(f"{arm}{FLUX_SUFFIX}" in names for arm in ARMS):
                return _read_desi(hdus, path.name, medium, unit)
            return _read_sdss(hdus, path.name, medium, unit)
    except OSError as error:
        raise DataError(f"{path}: expected a FITS file, got {' '.join(str(error).split())}") from error


def _read_sdss(hdus: fits.HDUList, name: str, medium: str | None, unit: str | None) -> FitsSpectra:
    for hdu in hdus:
        columns = {} if getattr(hdu, "columns", None) is None else {c.name.lower(): c for c in hdu.columns}
        if {"flux", "ivar"} <= set(columns) and {"loglam", "wavelength"} & set(columns):
            break
    else:
        expected = "a table with flux, ivar and loglam or wavelength (SDSS), or images B_FLUX, B_IVAR, ... (DESI)"
        raise DataError(name, expected=expected, got=", ".join(f"{hdu.name or 'PRIMARY'}" for hdu in hdus))
    value = {column: np.asarray(hdu.data[columns[column].name], np.float64) for column in columns if column in
             ("flux", "ivar", "loglam", "wavelength", "and_mask")}  # fmt: skip
    if "loglam" in value:
        wavelength_L, unit = 10 ** value["loglam"], "angstrom"
    else:
        wavelength_L, unit = value["wavelength"], unit or columns["wavelength"].unit
    medium = medium or _medium(hdu.header) or _medium(hdus[0].header)
    wavelength_L = to_vacuum(wavelength_L, medium, unit, name)
    ivar_L = _usable(value["ivar"], value.get("and_mask"))
    return FitsSpectra([Spectrum(name, wavelength_L, value["flux"], ivar_L)], [_facts(hdus)])


def _read_desi(hdus: fits.HDUList, name: str, medium: str | None, unit: str | None) -> FitsSpectra:
    parts = []
    for arm in ARMS:
        if f"{arm}{FLUX_SUFFIX}" not in hdus:
            continue
        missing = [f"{arm}{suffix}" for suffix in (WAVE_SUFFIX, IVAR_SUFFIX) if f"{arm}{suffix}" not in hdus]
        if missing:
            raise DataError(name, expected=f"{missing[0]} beside {arm}{FLUX_SUFFIX}", got="none")
        wave = hdus[f"{arm}{WAVE_SUFFIX}"]
        said = medium or _medium(wave.header) or _medium(hdus[0].header)
        wavelength_L = to_vacuum(wave.data, said, unit or wave.header.get("BUNIT"), f"{name}, arm {arm}")
        flux_TL, ivar_TL = (
            np.atleast_2d(hdus[f"{arm}{s}"].data).astype(np.float64) for s in (FLUX_SUFFIX, IVAR_SUFFIX)
        )
        mask_TL = np.atleast_2d(hdus[f"{arm}_MASK"].data) if f"{arm}_MASK" in hdus else None
        if not flux_TL.shape == ivar_TL.shape == (len(flux_TL), len(wavelength_L)):
            got = f"{flux_TL.shape} and {ivar_TL.shape}"
            raise DataError(f"{name}, arm {arm}", expected=f"flux and ivar (T, {len(wavelength_L)})", got=got)
        parts.append((wavelength_L, flux_TL, _usable(ivar_TL, mask_TL)))
    ids = _targets(hdus, name, len(parts[0][1]))
    if len({len(flux_TL) for _, flux_TL, _ in parts}) > 1:
        raise DataError(name, expected="as many targets in every arm", got=[len(flux_TL) for _, flux_TL, _ in parts])
    spectra = [_join(f"{name} {target}", [(w_L, f_TL[t], i_TL[t]) for w_L, f_TL, i_TL in parts])
               for t, target in enumerate(ids)]  # fmt: skip
    return FitsSpectra(spectra, [{"target": target} for target in ids])


def _join(name: str, parts: list[tuple[np.ndarray, ...]]) -> Spectrum:
    """Return one spectrum of several arms, each of which must rise; equal wavelengths become their weighted mean."""
    for k, arm in enumerate(parts):
        usable = bool((arm[2] > 0).any())
        Spectrum(f"{name}, arm {k + 1}", arm[0], arm[1], arm[2] if usable else np.ones_like(arm[0])) if usable else None
    wavelength_L, flux_L, ivar_L = (np.concatenate(values) for values in zip(*parts, strict=True))
    flux_L = np.where(ivar_L > 0, flux_L, 0.0)
    unique_L, place_L = np.unique(wavelength_L, return_inverse=True)
    total_L = np.bincount(place_L, ivar_L)
    weighted_L = np.bincount(place_L, ivar_L * flux_L)
    return Spectrum(name, unique_L, weighted_L / np.where(total_L > 0, total_L, 1), total_L)


def _usable(ivar: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    ivar = np.where(np.isfinite(ivar), ivar, 0.0)
    return ivar if mask is None else np.where(np.asarray(mask) == 0, ivar, 0.0)


def _medium(header: fits.Header) -> str | None:
    """Return vacuum or air as a header says, None where it does not."""
    said = str(header.get("VACUUM", header.get("AIRORVAC", ""))).strip().lower()
    vacuum, air = ("true", "t", "1", "1.0", "yes", "vac", "vacuum"), ("false", "f", "0", "0.0", "no", "air")
    return "vacuum" if said in vacuum else "air" if said in air else None


def _targets(hdus: fits.HDUList, name: str, n: int) -> list[str]:
    if "FIBERMAP" not in hdus or "TARGETID" not in hdus["FIBERMAP"].columns.names:
        return [str(t) for t in range(n)]
    ids = [str(target) for target in hdus["FIBERMAP"].data["TARGETID"]]
    if len(ids) != n or len(set(ids)) != n:
        raise DataError(f"{name}: FIBERMAP", expected=f"{n} targets, each once", got=f"{len(set(ids))} in {len(ids)}")
    return ids


def _facts(hdus: fits.HDUList) -> dict[str, Any]:
    for hdu in hdus:
        names = [] if getattr(hdu, "columns", None) is None else [c.upper() for c in hdu.columns.names]
        if "CLASS" in names and "Z" in names and len(hdu.data) == 1:
            return {"class": str(hdu.data["CLASS"][0]).strip(), "redshift": float(hdu.data["Z"][0])}
    return {}
