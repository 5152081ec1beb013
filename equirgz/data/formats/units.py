"""The unit of a radio map, as headers spell it, and its factor to Jy/beam."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from astropy import units

JY_PER_BEAM = "Jy / beam"  # as astropy writes it
#: a spelling in lower case -> astropy's
_WORDS = {
    "jy": "Jy", "jansky": "Jy", "janskys": "Jy", "jys": "Jy",
    "beam": "beam", "beams": "beam", "bm": "beam", "b": "beam",
    "pixel": "pix", "pixels": "pix", "pix": "pix", "px": "pix",
    "sr": "sr", "ster": "sr", "steradian": "sr", "arcsec": "arcsec", "sqarcsec": "arcsec2",
    "kelvin": "K", "k": "K",
}  # fmt: skip
_PREFIXES = {"": "", "milli": "m", "micro": "u", "nano": "n", "kilo": "k", "mega": "M", "m": "m", "u": "u", "n": "n"}
_WORD = re.compile(r"[A-Za-zµμ]+")  # noqa: RUF001


@functools.lru_cache(maxsize=256)  # a spelling that astropy refuses costs it 10 ms, in each file of a folder anew
def parse_unit(text: str) -> units.UnitBase | None:
    """Return the unit that a header or a user writes, None where it is empty or has no one meaning.

    What astropy reads is taken as it reads it. Else words count without regard to case (``JY/BEAM``, ``mJy/bm``,
    ``UJY/BEAM``, ``KELVIN``); ``MJY``, which may be milli or mega, has no one meaning.
    """
    from astropy import units

    text = text.strip()
    for spelling in (text, _respell(text)):
        for form in ("fits", None):
            try:
                unit = units.Unit(spelling, format=form) if spelling else None
            except (ValueError, TypeError):
                continue
            return None if unit is None or unit == units.dimensionless_unscaled else unit
    return None


def _respell(text: str) -> str:
    """Return the text with every word in astropy's spelling; empty where a word is ambiguous."""
    words = [_respell_word(word) for word in _WORD.findall(text)]
    if "" in words:
        return ""
    parts = iter(words)
    return _WORD.sub(lambda _: next(parts), text)


def _respell_word(word: str) -> str:
    if word.lower() in _WORDS:
        return _WORDS[word.lower()]
    plain = word.replace("µ", "u").replace("μ", "u")  # noqa: RUF001
    if plain.startswith("MJ") and plain.upper() == plain:
        return ""
    for prefix, short in _PREFIXES.items():
        base = _WORDS.get(plain[len(prefix) :].lower())
        if base in ("Jy", "K") and plain.lower().startswith(prefix) and prefix:
            return ("M" if prefix == "m" and plain[0] == "M" else short) + base
    return word


@dataclass(frozen=True)
class Sampling:
    """What a factor to Jy/beam may need: solid angles of the beam and of a pixel (sr), and the frequency (Hz).

    None where the header does not say.
    """

    beam_sr: float | None = None
    pixel_sr: float | None = None
    frequency_hz: float | None = None


def factor_to_jy_per_beam(unit: units.UnitBase, sampling: Sampling) -> float | None:
    """Return the Jy/beam of one ``unit``, None where it is no brightness or the header lacks what that needs.

    mJy/beam and its like by their prefix; Jy/sr times the solid angle of the beam; Jy/pixel times beam over pixel;
    kelvin by the law of Rayleigh and Jeans, ``2 k nu^2 / c^2`` times the beam.
    """
    from astropy import units

    if unit.is_equivalent(units.Jy / units.beam):
        return float(unit.to(units.Jy / units.beam))
    if sampling.beam_sr is None:
        return None
    beam = sampling.beam_sr * units.sr
    if unit.is_equivalent(units.Jy / units.pix):
        if sampling.pixel_sr is None:
            return None
        return float(unit.to(units.Jy / units.pix)) * sampling.beam_sr / sampling.pixel_sr
    if unit.is_equivalent(units.Jy / units.sr):
        return float(unit.to(units.Jy / units.sr)) * sampling.beam_sr
    if unit.is_equivalent(units.K) and sampling.frequency_hz is not None:
        law = units.brightness_temperature(sampling.frequency_hz * units.Hz, beam)
        return float((1 * unit).to(units.K).to_value(units.Jy, equivalencies=law))
    return None


def is_brightness(unit: units.UnitBase | None) -> bool:
    """Return whether a unit is one of sky brightness: flux density per beam, pixel or solid angle, or kelvin."""
    from astropy import units

    kinds = (units.Jy / units.beam, units.Jy / units.pix, units.Jy / units.sr, units.K, units.Jy)
    return unit is not None and any(unit.is_equivalent(kind) for kind in kinds)
