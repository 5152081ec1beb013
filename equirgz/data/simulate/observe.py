"""What an interferometer's survey makes of a sky: restoring beam, correlated noise, field sources.

Legend: N sources, P particles, H W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft

from equirgz.data.simulate.morphology import Sources

_FWHM_TO_SIGMA = 1 / np.sqrt(8 * np.log(2))


@dataclass(frozen=True)
class Beam:
    """Gaussian restoring beam: geometric-mean FWHM (arcsec), axis ratio >= 1, position angle (deg)."""

    fwhm_arcsec: float
    axis_ratio: float = 1.0
    angle_deg: float = 0.0

    def sigma_px(self, pixel_scale_arcsec: float) -> tuple[float, float]:
        """Return the standard deviations along the major and minor axis, pixels."""
        sigma = self.fwhm_arcsec * _FWHM_TO_SIGMA / pixel_scale_arcsec
        root = np.sqrt(max(self.axis_ratio, 1 / self.axis_ratio))
        return sigma * root, sigma / root

    def area_px(self, pixel_scale_arcsec: float) -> float:
        """Return the beam's solid angle in pixels, ``2 pi sigma_major sigma_minor``."""
        major, minor = self.sigma_px(pixel_scale_arcsec)
        return 2 * np.pi * major * minor


@lru_cache(maxsize=16)
def beam_transform(beam: Beam, pixel_scale_arcsec: float, size: int) -> np.ndarray:
    """Return the real Fourier transform (size, size // 2 + 1) of the beam with peak 1 on a pixel grid.

    Multiplying the transform of Jy per pixel by it gives Jy/beam. The law is
    ``2 pi s1 s2 exp(-2 pi^2 (s1^2 u^2 + s2^2 v^2))`` with u, v along the axes in cycles per pixel.
    """
    major, minor = beam.sigma_px(pixel_scale_arcsec)
    row, column = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]
    angle = np.deg2rad(beam.angle_deg)
    along = row * np.cos(angle) + column * np.sin(angle)
    across = -row * np.sin(angle) + column * np.cos(angle)
    value = beam.area_px(pixel_scale_arcsec) * np.exp(-2 * np.pi**2 * ((major * along) ** 2 + (minor * across) ** 2))
    value = value.astype(np.float32)
    value.setflags(write=False)
    return value


@lru_cache(maxsize=16)
def noise_gain(beam: Beam, pixel_scale_arcsec: float, size: int) -> float:
    """Return the rms of unit white noise after convolution with the beam of peak 1."""
    transform = beam_transform(beam, pixel_scale_arcsec, size).astype(np.float64)
    double = np.full(transform.shape[1], 2.0)
    double[0] = 1.0
    if size % 2 == 0:
        double[-1] = 1.0
    return float(np.sqrt((transform**2 * double).sum() / size**2))


SPIKE_ANGLES = 12


@lru_cache(maxsize=16)
def spike_transforms(beam: Beam, pixel_scale_arcsec: float, size: int) -> np.ndarray:
    """Return transforms (12, size, size // 2 + 1) of six-armed sidelobes of peak 1, in 5-degree steps.

    A Y-shaped array seen in a snapshot leaves three thin lines through every bright source, 60
    degrees apart. A line of length l in the map is a line of width 1 / (2 pi l) across it here.
    """
    row, column = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]
    taper = beam_transform(beam, pixel_scale_arcsec, size).astype(np.float64)
    width = 1.2 / size
    patterns = []
    for k in range(SPIKE_ANGLES):
        lines = np.zeros_like(taper)
        for arm in range(3):
            angle = np.deg2rad(60 * arm + 60 / SPIKE_ANGLES * k)
            across = row * np.cos(angle) + column * np.sin(angle)
            lines += np.exp(-0.5 * (across / width) ** 2)
        pattern = taper * lines
        patterns.append(pattern / np.fft.irfft2(pattern, s=(size, size))[0, 0])
    value = np.stack(patterns).astype(np.float32)
    value.setflags(write=False)
    return value


def deposit(x_px_NP: np.ndarray, y_px_NP: np.ndarray, flux_NP: np.ndarray, size: int) -> np.ndarray:
    """Share each particle's flux among its four nearest pixels; outside the map it is lost.

    Columns are x, rows y, pixel centres at integers. Returns (N, size, size) float32; fluxes and
    first moments are kept exactly for particles inside.
    """
    n = len(x_px_NP)
    column, row = np.floor(x_px_NP), np.floor(y_px_NP)
    right, up = x_px_NP - column, y_px_NP - row
    inside = (column >= 0) & (row >= 0) & (column < size - 1) & (row < size - 1)
    flux = np.where(inside, flux_NP, 0)
    base = np.where(inside, row * size + column, 0).astype(np.int64)
    base += (np.arange(n) * size * size)[:, None]
    place = np.stack([base, base + 1, base + size, base + size + 1])
    share = np.stack([(1 - right) * (1 - up), right * (1 - up), (1 - right) * up, right * up]) * flux
    sky = np.bincount(place.ravel(), share.ravel(), minlength=n * size * size)
    return sky.reshape(n, size, size).astype(np.float32)


def _add_field(sky_NHW: np.ndarray, mean_number: float, generator: np.random.Generator) -> None:
    """Add unrelated point sources in place: Poisson many, N(>S) ~ S^-0.9 from 1 mJy to 0.3 Jy."""
    n, size = len(sky_NHW), sky_NHW.shape[-1]
    which = np.repeat(np.arange(n), generator.poisson(mean_number, n))
    flux_jy = np.minimum(1e-3 * generator.random(len(which)) ** (-1 / 0.9), 0.3)
    row, column = generator.integers(0, size, (2, len(which)))
    np.add.at(sky_NHW, (which, row, column), flux_jy.astype(np.float32))


def observe(
    sources: Sources,
    beam: Beam,
    noise_jy_per_beam: float,
    pixel_scale_arcsec: float,
    size: int,
    generator: np.random.Generator,
    *,
    field_sources: float = 0.0,
    sidelobe_level: float = 0.0,
    centring_px: float = 0.5,
) -> np.ndarray:
    """Return maps (N, size, size), float32, Jy/beam: beam * (sky + white noise) in one transform.

    The source's core lies at the centre to ``centring_px`` (rms), as catalogue positions do. The
    noise has the rms asked for and the beam as its correlation. ``sidelobe_level`` is the median
    height of the spikes that remain around a source, relative to its peak (log-normal, one draw and
    one orientation per map). Edges wrap: keep sources inside.
    """
    n = len(sources.flux_jy_N)
    centre_N2 = (size - 1) / 2 + generator.normal(0, centring_px, (n, 2)).astype(np.float32)
    x = sources.x_arcsec_NP / np.float32(pixel_scale_arcsec) + centre_N2[:, :1]
    y = sources.y_arcsec_NP / np.float32(pixel_scale_arcsec) + centre_N2[:, 1:]
    sky = deposit(x, y, sources.flux_jy_NP, size)
    if field_sources > 0:
        _add_field(sky, field_sources, generator)
    if noise_jy_per_beam > 0:
        level = np.float32(noise_jy_per_beam / noise_gain(beam, pixel_scale_arcsec, size))
        sky += level * generator.standard_normal(sky.shape, dtype=np.float32)
    transform = scipy.fft.rfft2(sky, workers=1)
    response = beam_transform(beam, pixel_scale_arcsec, size)
    if sidelobe_level > 0:
        level_N = (sidelobe_level * generator.lognormal(0, 0.8, n)).astype(np.float32)
        spikes = spike_transforms(beam, pixel_scale_arcsec, size)[generator.integers(0, SPIKE_ANGLES, n)]
        spikes *= level_N[:, None, None]
        spikes += response
        response = spikes
    transform *= response
    return scipy.fft.irfft2(transform, s=(size, size), workers=1)
