"""What simulated objects shine like: continua and lines of four types, in their own frame.

Made to be learnable and no more: few numbers describe an object, and lines stand where nature has them.
Legend: W wavelengths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TYPES = ("star", "passive galaxy", "star-forming galaxy", "quasar")
LIGHT_KM_S = 299_792.458
# wavelengths in vacuum, angstrom
HYDROGEN = (6564.6, 4862.7, 4341.7, 4102.9, 3971.2)
METALS = {"Ca K": 3934.8, "Ca H": 3969.6, "G": 4305.6, "Mg b": 5176.6, "Na D": 5895.6}
BROAD = {"Ly a": (1215.7, 2.0), "C IV": (1549.5, 0.9), "C III]": (1908.7, 0.5), "Mg II": (2798.8, 0.55),
         "H b": (4862.7, 0.5), "H a": (6564.6, 1.4)}  # fmt: skip


@dataclass(frozen=True)
class Object:
    """One object: its type, redshift, and three numbers from 0 to 1 whose meaning depends on the type."""

    kind: int
    redshift: float
    shape: float  # temperature, break or slope
    strength: float  # of lines
    state: float  # ratios or widths of lines


def draw_object(generator: np.random.Generator) -> Object:
    """Return an object of a random type."""
    kind = int(generator.integers(len(TYPES)))
    low, high = ((-0.001, 0.001), (0.02, 0.6), (0.02, 0.6), (0.4, 2.4))[kind]
    return Object(kind, generator.uniform(low, high), *generator.uniform(size=3))


def shine(source: Object, wavelength_W: np.ndarray) -> np.ndarray:
    """Return flux per wavelength as observed at ``wavelength_W`` (angstrom), of mean about 1."""
    rest_W = wavelength_W / (1 + source.redshift)
    flux_W = (_star, _passive, _star_forming, _quasar)[source.kind](source, rest_W)
    return flux_W / flux_W.mean()


def _gauss(rest_W: np.ndarray, centre: float, width_km_s: float) -> np.ndarray:
    """Return a line of height 1 and of a standard deviation in km/s."""
    return np.exp(-0.5 * (np.log(rest_W / centre) * LIGHT_KM_S / width_km_s) ** 2)


def _star(source: Object, rest_W: np.ndarray) -> np.ndarray:
    temperature = 4000 * 3**source.shape  # kelvin
    flux_W = (rest_W / 5500) ** -5 / np.expm1(1.4388e8 / (rest_W * temperature))
    warm, cool = np.exp(-(((temperature - 9500) / 2500) ** 2)), 1 / (1 + np.exp((temperature - 5500) / 500))
    metals = 0.6 * (0.3 + 0.7 * source.strength) * (0.25 + 0.75 * cool)
    for i, centre in enumerate(HYDROGEN):
        flux_W *= 1 - (0.1 + 0.5 * warm) * 0.95**i * _gauss(rest_W, centre, 900)
    for centre in METALS.values():
        flux_W *= 1 - metals * _gauss(rest_W, centre, 500)
    bands_W = sum(_gauss(rest_W, centre, 2500) for centre in (4960.0, 5450.0, 6200.0, 7100.0, 7700.0))
    return flux_W * (1 - 0.6 * source.state * np.exp(-(((temperature - 4000) / 700) ** 2)) * np.clip(bands_W, 0, 1))


def _passive(source: Object, rest_W: np.ndarray) -> np.ndarray:
    jump = 0.45 + 0.25 * source.shape  # share of the light that the 4000 angstrom break takes away
    flux_W = 1 - jump / (1 + np.exp((rest_W - 3990) / 30))
    flux_W *= (rest_W / 5500) ** (0.2 + 1.2 * source.state)
    for centre in METALS.values():
        flux_W *= 1 - (0.15 + 0.3 * source.strength) * _gauss(rest_W, centre, 700)
    return flux_W


def _star_forming(source: Object, rest_W: np.ndarray) -> np.ndarray:
    flux_W = (rest_W / 5500) ** (-2.0 + 1.6 * source.shape) * (1 - 0.25 / (1 + np.exp((rest_W - 3700) / 40)))
    height = 2.0 * 5**source.strength  # of H alpha over the continuum
    ionised = 0.15 + 1.2 * source.state
    lines = {6564.6: 1.0, 4862.7: 0.33, 4341.7: 0.15, 5008.2: 0.9 * ionised, 4960.3: 0.3 * ionised,
             3728.5: 0.9 - 0.4 * source.state, 6585.3: 0.45 - 0.35 * source.state,
             6725.0: 0.3 - 0.15 * source.state}  # fmt: skip
    for centre, ratio in lines.items():
        flux_W += height * ratio * _gauss(rest_W, centre, 250)
    return flux_W


def _quasar(source: Object, rest_W: np.ndarray) -> np.ndarray:
    flux_W = (rest_W / 3000) ** (-2.2 + 1.4 * source.shape)
    width = 1200 + 2000 * source.state
    lines_W = sum(height * _gauss(rest_W, centre, width) for centre, height in BROAD.values())
    lines_W += 0.4 * sum(_gauss(rest_W, centre, 6000) for centre in (2500.0, 3200.0, 4570.0))  # iron
    flux_W *= 1 + (0.5 + source.strength) * lines_W
    return flux_W * np.where(rest_W < 1215.7, 0.5, 1.0)
