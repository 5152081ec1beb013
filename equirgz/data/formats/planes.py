"""Which plane of a FITS cube is meant, by the names of its axes: one rule, used wherever FITS is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from equirgz.errors import DataError, InputError

if TYPE_CHECKING:
    from astropy.io import fits

Plane = int | str | Mapping[str, int | str]
#: Stokes codes of the FITS standard
STOKES = {1: "I", 2: "Q", 3: "U", 4: "V"}
STOKES |= {-1: "RR", -2: "LL", -3: "RL", -4: "LR", -5: "XX", -6: "YY", -7: "XY", -8: "YX"}
_FREQUENCY = ("FREQ", "VELO", "VRAD", "VOPT", "FELO", "WAVE", "AWAV", "ZOPT", "BETA", "ENER", "WAVN")
_SYNONYMS = {"freq": "frequency", "channel": "frequency", "chan": "frequency", "pol": "stokes"}


@dataclass(frozen=True)
class _Axis:
    """One axis that is not of the sky: its FITS number, name, length and, for Stokes, the letter of each plane."""

    number: int
    name: str
    length: int
    letters: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} {', '.join(self.letters) if self.letters else f'0 to {self.length - 1}'}"


def take_plane(data: np.ndarray, header: fits.Header, path: Path | str, plane: Plane | None) -> np.ndarray:
    """Return one plane (latitude, longitude) of an image with any number of axes.

    The axes of the sky are found by their CTYPE, wherever they stand; without CTYPEs they are the first two of the
    header. Of the others, those of length 1 are dropped, and ``plane`` picks from the longer ones: ``stokes=I``,
    ``frequency=2`` (counted from 0), both (``stokes=I,frequency=2``, or a mapping), other axes by their CTYPE or as
    ``axis3``; a whole number counts through all of them, the last FITS axis slowest.

    Raises DataError for a cube without a ``plane`` that picks one, InputError for a plane that is not there.
    """
    data, axes = _order_axes(data, header)
    shape = tuple(axis.length for axis in axes)
    index = _read_number(plane)
    if index is not None:
        n_planes = int(np.prod(shape))
        if not 0 <= index < n_planes:
            raise InputError(f"{path}: plane", expected=f"0 to {n_planes - 1}", got=index)
        return data.reshape(-1, *data.shape[-2:])[index]
    wanted = _read_names(plane)
    place = []
    for axis in axes:
        name = next((name for name in (axis.name, f"axis{axis.number}") if name in wanted), None)
        place.append(0 if name is None else _find_on(axis, wanted.pop(name), path))
        if axis.length > 1 and name is None:
            listed = " and ".join(str(a) for a in axes if a.length > 1)
            example = ",".join(f"{a.name}={a.letters[0] if a.letters else 0}" for a in axes if a.length > 1)
            mend = f"say which with plane=N, or plane={example!r}"
            raise DataError(f"{path}: expected one plane, got a cube {shape + data.shape[-2:]} of {listed}; {mend}")
    for name, value in wanted.items():  # of an axis that the file does not have: an image of one plane
        if str(value).upper() not in ("0", "I"):
            got = ", ".join(str(axis) for axis in axes) or "an image of two axes"
            raise InputError(f"{path}: plane", expected=f"an axis {name} that has {value}", got=got)
    return data[tuple(place)]


def _order_axes(data: np.ndarray, header: fits.Header) -> tuple[np.ndarray, list[_Axis]]:
    """Return the data as (others..., latitude, longitude), and the others in their order."""
    n = data.ndim
    longitude, latitude = _sky_axes(header, n)
    others = [k for k in range(n, 0, -1) if k not in (longitude, latitude)]
    data = data.transpose([n - k for k in (*others, latitude, longitude)])
    return data, [_describe(header, k, length) for k, length in zip(others, data.shape, strict=False)]


def _sky_axes(header: fits.Header, n: int) -> tuple[int, int]:
    types = [str(header.get(f"CTYPE{k}", "")).strip().upper() for k in range(1, n + 1)]
    longitude = [k for k, name in enumerate(types, 1) if re.match(r"(RA\b|RA-|[GEHS]LON|.LON-|..LN-)", name)]
    latitude = [k for k, name in enumerate(types, 1) if re.match(r"(DEC\b|DEC-|[GEHS]LAT|.LAT-|..LT-)", name)]
    return (longitude[0], latitude[0]) if len(longitude) == len(latitude) == 1 else (1, 2)


def _describe(header: fits.Header, number: int, length: int) -> _Axis:
    kind = str(header.get(f"CTYPE{number}", "")).strip().upper()
    if kind == "STOKES":
        start, step, pixel = (float(header.get(f"{key}{number}", 1)) for key in ("CRVAL", "CDELT", "CRPIX"))
        codes = [round(start + (k + 1 - pixel) * step) for k in range(length)]
        return _Axis(number, "stokes", length, tuple(STOKES.get(code, str(code)) for code in codes))
    if kind.startswith(_FREQUENCY):
        return _Axis(number, "frequency", length)
    return _Axis(number, kind.lower() or f"axis{number}", length)


def frequency_hz(header: fits.Header, plane: Plane | None = None) -> float | None:
    """Return the frequency of an image, or of the plane taken, from its FREQ axis, else RESTFRQ or FREQ, or None."""
    for k in range(1, header.get("NAXIS", 0) + 9):
        if str(header.get(f"CTYPE{k}", "")).strip().upper() == "FREQ" and f"CRVAL{k}" in header:
            length = header.get(f"NAXIS{k}", 1)
            at = _read_names(plane).get("frequency", 0) if _read_number(plane) is None else None
            if length > 1 and at is None:
                return None
            step = header.get(f"CDELT{k}", 0.0) * (int(at or 0) + 1 - header.get(f"CRPIX{k}", 1.0))
            return _positive(header[f"CRVAL{k}"] + (step if length > 1 else 0.0))
    for key in ("RESTFRQ", "RESTFREQ", "FREQ", "FREQUENC"):
        if _positive(header.get(key)) is not None:
            return _positive(header[key])
    return None


def _positive(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None


def check_plane(plane: Plane | None) -> None:
    """Raise InputError for a plane that is neither a number nor names with values."""
    if _read_number(plane) is None:
        _read_names(plane)


def _read_number(plane: Plane | None) -> int | None:
    if isinstance(plane, str) and re.fullmatch(r"-?\d+", plane.strip()):
        return int(plane)
    return int(plane) if isinstance(plane, int | np.integer) and not isinstance(plane, bool) else None


def _read_names(plane: Plane | None) -> dict[str, int | str]:
    if plane is None:
        return {}
    expected = "a number, or names such as stokes=I,frequency=2"
    pairs = plane.items() if isinstance(plane, Mapping) else None
    if pairs is None and isinstance(plane, str):
        pairs = [part.partition("=")[::2] for part in plane.split(",")]
    wanted = {}
    for name, value in pairs or [("", "")]:
        name, value = str(name).strip().lower(), value.strip() if isinstance(value, str) else value
        if not name or value == "" or isinstance(value, bool | float):
            raise InputError("plane", expected=expected, got=plane)
        wanted[_SYNONYMS.get(name, name)] = value
    return wanted


def _find_on(axis: _Axis, value: int | str, path: Path | str) -> int:
    if isinstance(value, str) and value.upper() in axis.letters:
        return axis.letters.index(value.upper())
    index = _read_number(value)
    if index is None or not 0 <= index < axis.length:
        raise InputError(f"{path}: plane {axis.name}", expected=str(axis), got=value)
    return index
