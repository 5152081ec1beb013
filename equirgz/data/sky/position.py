"""Sources matched by sky position."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from equirgz.data.catalogues.text_tables import refuse_decimal_commas
from equirgz.errors import DataError

#: 123.456-01.234: right ascension and declination in degrees
_DEGREES = re.compile(r"(?<![\d.JB])J?(\d{1,3}\.\d+)([+-]\d{1,3}\.\d+)(?![\d]|\.\d)")
#: J123456.7+123456: the name of a source after the IAU's rule, hours and degrees without separators
_IAU = re.compile(r"([JB])(\d{4}|\d{6})(\.\d+)?([+-])(\d{2,4}|\d{6})(\.\d+)?(?![\d]|\.\d)")
#: 12:34:56.7+12:34:56 or 12h34m56.7s+12d34m56s
_SEXAGESIMAL = re.compile(
    r"(?<!\d)(\d{1,2})[h:](\d{1,2})[m:](\d{1,2}(?:\.\d+)?)s?\s*([+-])(\d{1,2})[d:](\d{1,2})[m:'](\d{1,2}(?:\.\d+)?)"
)
NOWHERE = (float("nan"), float("nan"))


def parse_position(name: str) -> tuple[float, float]:
    """Return right ascension and declination (J2000, degrees) that a name holds, else NaN.

    Read are degrees (``...123.456-01.234...``), names after the IAU's rule (``J123456.7+123456``, ``J1234+1234``,
    ``J1234.5+12.3``; those with B, of equinox 1950, are turned to J2000) and sexagesimal positions with separators.
    IAU names are cut, not rounded, and tell a place to their last digit only. What could be read in two ways
    (``J12.3+45.6``) is no position.
    """
    name = name.replace("\N{MINUS SIGN}", "-")
    iau = _IAU.search(name)
    if iau is not None:
        return _parse_iau(*iau.groups())
    split = _SEXAGESIMAL.search(name)
    if split is not None:
        hours, minutes, seconds, sign, degrees, arcmin, arcsec = split.groups()
        return _from_parts((hours, minutes, seconds), sign, (degrees, arcmin, arcsec))
    found = _DEGREES.search(name)
    if found is None or (found[0].startswith("J") and found[1].index(".") != 3):
        return NOWHERE
    ra, dec = float(found[1]), float(found[2])
    return (ra, dec) if 0 <= ra <= 360 and abs(dec) <= 90 else NOWHERE


def _parse_iau(
    equinox: str, ra: str, ra_rest: str | None, sign: str, dec: str, dec_rest: str | None
) -> tuple[float, float]:
    if len(dec) == 3:  # DDd: tenths of a degree without a point
        if dec_rest is not None:
            return NOWHERE
        dec, dec_rest = dec[:2], f".{dec[2]}"
    hours, degrees = ([text[k : k + 2] for k in range(0, len(text), 2)] for text in (ra, dec))
    hours[-1] += ra_rest or ""
    degrees[-1] += dec_rest or ""
    position = _from_parts(tuple(hours), sign, tuple(degrees))
    if equinox == "J" or position == NOWHERE or position[0] != position[0]:
        return position
    from astropy.coordinates import FK4, SkyCoord

    turned = SkyCoord(*position, unit="deg", frame=FK4(equinox="B1950")).icrs
    return float(turned.ra.deg), float(turned.dec.deg)


def _from_parts(hours: tuple[str, ...], sign: str, degrees: tuple[str, ...]) -> tuple[float, float]:
    ra, dec = ([float(part) for part in parts] for parts in (hours, degrees))
    if ra[0] >= 24 or any(part >= 60 for part in (*ra[1:], *dec[1:])):
        return NOWHERE
    ra_deg, dec_deg = (sum(part / 60**k for k, part in enumerate(parts)) for parts in (ra, dec))
    return (15 * ra_deg, -dec_deg if sign == "-" else dec_deg) if dec_deg <= 90 else NOWHERE


def read_angles(values: pd.Series, *, hours: bool, source: str) -> np.ndarray:
    """Return angles in degrees: of numbers as they stand, of sexagesimal text in hours or degrees; NaN for none.

    Raises DataError for anything else, and for numbers and sexagesimal text in one column.
    """
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(np.float64, na_value=np.nan)
    from astropy.coordinates import Angle

    refuse_decimal_commas(values, source)
    text = ["" if pd.isna(value) else str(value).strip().replace("\N{MINUS SIGN}", "-") for value in values]
    text = ["" if cell.lower() in ("nan", "na", "n/a", "none", "null", "--") else cell for cell in text]
    numbers = pd.to_numeric(pd.Series(text, dtype=object).where(lambda cell: cell != "", None), errors="coerce")
    told = [cell for cell, number in zip(text, numbers, strict=True) if cell and number != number]
    if not told:
        return numbers.to_numpy(np.float64)
    try:
        if numbers.notna().any():
            raise ValueError("numbers beside sexagesimal text")
        unit = "hourangle" if hours else "deg"
        return np.array([Angle(cell, unit=unit).degree if cell else np.nan for cell in text])
    except Exception as error:  # astropy raises kinds of its own for text that is no angle
        mend = "write all in degrees, or all as 12:34:56.7"
        expected = "angles in degrees or sexagesimal"
        raise DataError(source, expected=expected, got=repr(told[0]), mend=mend) from error


def join_sexagesimal(table: pd.DataFrame) -> np.ndarray | None:
    """Return positions (N, 2) in degrees of VizieR's columns RAh RAm RAs DE- DEd DEm DEs, or None where they lack."""
    lower = {str(column).lower().replace("sign", "-").replace("dec", "de"): column for column in table.columns}
    parts = ("rah", "ram", "ras", "ded", "dem", "des")
    if not {*parts[:2], "ded", "dem", "de-"} <= set(lower):
        return None
    value = {part: table[lower[part]].to_numpy(np.float64, na_value=np.nan) if part in lower else 0.0 for part in parts}
    ra = 15 * (value["rah"] + value["ram"] / 60 + value["ras"] / 3600)
    sign = np.where(table[lower["de-"]].astype(str).str.strip() == "-", -1.0, 1.0)
    return np.stack([ra, sign * (value["ded"] + value["dem"] / 60 + value["des"] / 3600)], axis=1)


def match_positions(
    a_deg_N2: np.ndarray, b_deg_M2: np.ndarray, radius_arcsec: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all pairs (i, j, separation in arcsec) with a[i] and b[j] at most ``radius_arcsec`` apart.

    Great-circle distances, any declination, right ascension wraps (``astropy.coordinates.search_around_sky``). NaN
    positions match nothing. Pairs are sorted by i, then by separation.
    """
    from astropy import units
    from astropy.coordinates import SkyCoord, search_around_sky

    sets = [np.asarray(position, dtype=np.float64) for position in (a_deg_N2, b_deg_M2)]
    good_a, good_b = (np.flatnonzero(np.isfinite(position).all(1)) for position in sets)
    if not len(good_a) or not len(good_b):
        return np.zeros(0, int), np.zeros(0, int), np.zeros(0)
    a, b = (SkyCoord(*position[good].T, unit="deg") for position, good in zip(sets, (good_a, good_b), strict=True))
    i, j, separation, _ = search_around_sky(a, b, radius_arcsec * units.arcsec)
    i, j, separation = good_a[i], good_b[j], separation.arcsec
    order = np.lexsort((separation, i))
    return i[order], j[order], separation[order]
