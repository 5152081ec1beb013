"""Surveys by name, with their published beam, pixel and noise (surveys.yaml), and one's own from a FITS header."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from equirgz.data.formats.fits import load_fits
from equirgz.data.formats.units import JY_PER_BEAM
from equirgz.data.noise_level import clipped_std
from equirgz.data.simulate.observe import Beam
from equirgz.errors import DataError, InputError, check_choice, require
from equirgz.paths import as_path
from equirgz.registry import call_checked

#: least and greatest value of every number; what lies outside is refused
RANGES = {
    "frequency_mhz": (10, 1e6, "MHz"),
    "beam_arcsec": (0.01, 3600, "arcsec"),
    "beam_axis_ratio": (1, 10, ""),
    "beam_angle_deg": (-360, 360, "degrees"),
    "pixel_scale_arcsec": (0.001, 600, "arcsec"),
    "noise_mjy_per_beam": (0, 1e5, "mJy/beam"),
    "beam_spread": (0, 1, "(sigma of ln)"),
    "noise_spread": (0, 2, "(sigma of ln)"),
    "noise_beam": (0.1, 3, "of the beam"),
    "noise_ripple": (0, 0.9, "of the variance"),
    "sidelobe_level": (0, 0.5, "of the peak"),
    "snapshot_arms": (0, 6, "arms"),
    "field_scale": (0, 100, ""),
    "size_scale": (1e-3, 1e3, ""),
    "flux_scale": (1e-6, 1e6, ""),
}
PIXELS_PER_BEAM = (1.5, 30)


@dataclass(frozen=True)
class Survey:
    """What a survey makes of a sky.

    Parameters
    ----------
    name : of the survey.
    frequency_mhz : flux densities of unrelated field sources follow nu^-0.7.
    beam_arcsec, beam_axis_ratio, beam_angle_deg : restoring beam, FWHM (geometric mean of its axes), major over minor
        axis, and angle of the major axis from the row axis.
    pixel_scale_arcsec : side of a pixel.
    noise_mjy_per_beam : typical rms.
    noise_beam, noise_ripple : the noise is correlated like a beam of ``noise_beam`` times the restoring beam's width,
        and a share ``noise_ripple`` of its variance like one of four times the restoring beam's.
    beam_spread, noise_spread : standard deviation of ln beam and ln rms from image to image.
    sidelobe_level : median height of what cleaning left of the sidelobes, relative to the peak.
    snapshot_arms : 6 for the three thin lines of the VLA's snapshots, 0 for none.
    field_scale : factor on the published density of unrelated field sources.
    size_scale, flux_scale : of the sources, beside MiraBest's in FIRST.
    telescope, source : in words.

    Raises InputError outside the physical range, and for beams under 1.5 or over 30 pixels.
    """

    name: str
    frequency_mhz: float = 1400.0
    beam_arcsec: float = 5.4
    beam_axis_ratio: float = 1.0
    beam_angle_deg: float = 0.0
    pixel_scale_arcsec: float = 1.8
    noise_mjy_per_beam: float = 0.15
    beam_spread: float = 0.0
    noise_spread: float = 0.0
    noise_beam: float = 1.0
    noise_ripple: float = 0.0
    sidelobe_level: float = 0.0
    snapshot_arms: int = 0
    field_scale: float = 1.0
    size_scale: float = 1.0
    flux_scale: float = 1.0
    telescope: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        for key, (low, high, unit) in RANGES.items():
            value = getattr(self, key)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            expected = f"{low:g} to {high:g} {unit}".rstrip()
            require(number and low <= value <= high, f"survey {self.name}: {key}", expected=expected, got=value)
        if self.snapshot_arms not in (0, 6):
            raise InputError(f"survey {self.name}: snapshot_arms", expected="0 or 6", got=self.snapshot_arms)
        per_beam = self.beam_arcsec / self.pixel_scale_arcsec
        low, high = PIXELS_PER_BEAM
        if not low <= per_beam <= high:
            got = f"{self.beam_arcsec:g} arcsec over {self.pixel_scale_arcsec:g} arcsec pixels"
            raise InputError(f"survey {self.name}: beam", expected=f"{low:g} to {high:g} pixels wide", got=got)

    @property
    def beam(self) -> Beam:
        """The typical restoring beam."""
        return Beam(self.beam_arcsec, self.beam_axis_ratio, self.beam_angle_deg)

    @property
    def depth_mjy(self) -> float:
        """Flux density of a point source at five times the noise."""
        return 5 * self.noise_mjy_per_beam

    def field_density(self, above_mjy: float) -> float:
        """Return unrelated sources per square degree above a flux density: 90 (S / 1 mJy at 1.4 GHz)^-0.9.

        That is FIRST's density at 1 mJy (arXiv:1501.01555), and its slope to 0.1 mJy within a factor of two.
        """
        at_1400 = above_mjy * (self.frequency_mhz / 1400) ** 0.7
        return self.field_scale * 90 * at_1400**-0.9

    @classmethod
    def from_fits(cls, path: Path | str, *, name: str | None = None, **options: Any) -> Survey:
        """Return the survey that a FITS image is from: beam, pixel and frequency of its header, noise as measured.

        The noise is the sigma-clipped standard deviation of the whole image. ``options`` (of this class) come before
        what the file says. Raises DataError where the file lacks a beam, a sky scale or a unit of Jy/beam, unless
        the options give them.
        """
        image = load_fits(path)
        found: dict[str, Any] = {"name": name or as_path(path).name.partition(".")[0]}
        if image.beam_arcsec is not None:
            major, minor, angle = image.beam_arcsec
            found |= {"beam_arcsec": float(np.sqrt(major * minor)), "beam_axis_ratio": max(1.0, major / minor)}
            found["beam_angle_deg"] = float(angle)
        if np.isfinite(image.pixel_scale_arcsec):
            found["pixel_scale_arcsec"] = float(image.pixel_scale_arcsec)
        if image.unit == JY_PER_BEAM:
            found["noise_mjy_per_beam"] = 1e3 * clipped_std(image.image_HW)
        frequency = header_frequency_mhz(image.header)
        if frequency is not None:
            found["frequency_mhz"] = frequency
        found |= options
        needed = {
            "beam_arcsec": "a beam in the header (BMAJ, BMIN)",
            "pixel_scale_arcsec": "a sky coordinate system",
            "noise_mjy_per_beam": "pixels in Jy/beam",
        }
        for key, expected in needed.items():
            if key not in found:
                raise DataError(str(path), expected=expected, got="none", mend=f"give {key}")
        return call_checked(f"survey of {path}", cls, **found)


def header_frequency_mhz(header: Any) -> float | None:
    """Return the frequency of a header's frequency axis or of its keywords, MHz; None where it has none."""
    for axis in range(1, int(header.get("NAXIS", 0)) + 4):
        if str(header.get(f"CTYPE{axis}", "")).upper().startswith("FREQ") and header.get(f"CRVAL{axis}"):
            return float(header[f"CRVAL{axis}"]) / 1e6
    for key in ("RESTFRQ", "RESTFREQ", "FREQ"):
        if isinstance(header.get(key), int | float) and header[key] > 0:
            return float(header[key]) / 1e6
    return None


@cache
def _table() -> dict[str, dict[str, Any]]:
    return yaml.safe_load((Path(__file__).parent / "surveys.yaml").read_text())


def list_surveys() -> list[str]:
    """Return the names of the surveys of surveys.yaml."""
    return list(_table())


def get_survey(name: str, **options: Any) -> Survey:
    """Return a survey by name, with ``options`` of :class:`Survey` over its published numbers."""
    table = _table()
    names = {key.lower(): key for key in table}
    key = names.get(str(name).lower()) or check_choice("survey", name, table)
    known = {field.name for field in fields(Survey)} - {"name"}
    return call_checked(
        f"survey {key}", Survey, **{"name": key, **{k: v for k, v in table[key].items() if k in known}, **options}
    )
