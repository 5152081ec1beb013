"""Skies into maps as a survey makes them, a batch at a time: beam, noise, field sources, companions, sidelobes.

Only the window of the image is simulated, with a margin for the beam; sources that reach beyond it take the whole
field. The noise is cut from one tile of correlated noise of a survey, so its level is known, not measured.
Legend: N sources, P particles, Q other sources on the sky, H W pixels of the image, M of the map.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft

from equirgz.data.simulate.observe import SPIKE_ANGLES, Beam, beam_transform, deposit, noise_gain, spike_transforms
from equirgz.data.simulate.skies import COMPONENT_P, COMPONENTS, CORE, HOT, Skies
from equirgz.data.simulate.surveys import Survey
from equirgz.seeding import derive_seed

TILE, BEAMS, RIPPLE = 1024, 16, 4.0
FIELD_SIGMA, FAINTEST_FIELD_MJY, BRIGHTEST_FIELD_MJY = 2.5, 0.01, 300.0
CENTRING_PX = 0.5
GRAIN = 0.4  # of the beam's sigma: finer particles are smooth behind the beam
COMPACT_P = np.isin(COMPONENT_P, [CORE, HOT])


@dataclass(frozen=True)
class Scene:
    """What lies in every image, in pixels from its centre: the particles, other sources, beam, noise and sidelobes."""

    x_px_NP: np.ndarray
    y_px_NP: np.ndarray
    flux_NP: np.ndarray
    other_x_px_NQ: np.ndarray
    other_y_px_NQ: np.ndarray
    other_flux_NQ: np.ndarray
    beam_N: np.ndarray
    rms_N: np.ndarray
    sidelobe_N: np.ndarray
    spike_N: np.ndarray
    noise_N3: np.ndarray
    smooth_px_N: np.ndarray


@lru_cache(maxsize=16)
def survey_beams(survey: Survey) -> tuple[Beam, ...]:
    """Return the beams of a survey's images: ``BEAMS`` even quantiles of the log-normal spread of the width."""
    from scipy.special import ndtri

    if survey.beam_spread == 0:
        return (survey.beam,)
    width = survey.beam_arcsec * np.exp(survey.beam_spread * ndtri((np.arange(BEAMS) + 0.5) / BEAMS))
    return tuple(Beam(float(w), survey.beam_axis_ratio, survey.beam_angle_deg) for w in width)


@lru_cache(maxsize=4)
def noise_tile(survey: Survey) -> np.ndarray:
    """Return (TILE, TILE) float32 of unit rms with the correlation of the survey's noise; the same for every seed."""
    scale, beam = survey.pixel_scale_arcsec, survey.beam
    tile = np.zeros((TILE, TILE), np.float32)
    for part, width in ((1 - survey.noise_ripple, survey.noise_beam), (survey.noise_ripple, RIPPLE)):
        if part > 0:
            of = replace(beam, fwhm_arcsec=width * beam.fwhm_arcsec)
            white = np.random.default_rng(derive_seed(0, "noise tile", f"{width:g}"))
            transform = scipy.fft.rfft2(white.standard_normal((TILE, TILE), dtype=np.float32))
            smooth = scipy.fft.irfft2(transform * beam_transform(of, scale, TILE), s=(TILE, TILE))
            tile += np.float32(np.sqrt(part) / noise_gain(of, scale, TILE)) * smooth
    tile.setflags(write=False)
    return tile


def make_scene(
    skies: Skies, survey: Survey, companions: dict[str, Any], field_px: int, generator: np.random.Generator
) -> Scene:
    """Place the skies in images of a field of ``field_px`` pixels, among other sources, with draws of the survey."""
    n, g = len(skies.flux_NP), generator
    scale = np.float32(survey.pixel_scale_arcsec)
    total = np.maximum(skies.flux_NP.sum(1), 1e-12)
    part = skies.off_centre_N / total
    shift = np.stack([part * np.einsum("np,np->n", skies.flux_NP, v) for v in (skies.x_NP, skies.y_NP)], 1)
    shift = (g.normal(0, CENTRING_PX, (n, 2)) - shift / scale).astype(np.float32)
    others = _other_sources(skies, survey, companions, field_px, g)
    beams = survey_beams(survey)
    return Scene(
        skies.x_NP / scale + shift[:, :1],
        skies.y_NP / scale + shift[:, 1:],
        skies.flux_NP,
        *others,
        g.integers(0, len(beams), n),
        (survey.noise_mjy_per_beam * np.exp(survey.noise_spread * g.standard_normal(n))).astype(np.float32),
        (survey.sidelobe_level * np.exp(0.8 * g.standard_normal(n))).astype(np.float32),
        g.integers(0, SPIKE_ANGLES, n),
        g.integers(0, [TILE, TILE, 8], (n, 3)),
        skies.grain_N / (2 * scale),
    )


def _other_sources(
    skies: Skies, survey: Survey, companions: dict[str, Any], field_px: int, g: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x, y (pixels from the centre) and flux (mJy) of field sources and companions; flux 0 where there is none.

    Field sources are Poisson with the survey's density, N(>S) ~ S^-0.9 from 2.5 rms on. A companion has a flux
    relative to the target's; some are doubles.
    """
    n, scale = len(skies.flux_NP), survey.pixel_scale_arcsec
    depth = max(FIELD_SIGMA * survey.noise_mjy_per_beam, FAINTEST_FIELD_MJY)
    mean = survey.field_density(depth) * (field_px * scale / 3600) ** 2
    most = int(np.ceil(mean + 4 * np.sqrt(mean))) + 2
    place = g.uniform(-field_px / 2, field_px / 2, (2, n, most))
    flux = np.minimum(depth * g.uniform(1e-9, 1, (n, most)) ** (-1 / 0.9), BRIGHTEST_FIELD_MJY)
    flux *= np.arange(most) < np.minimum(g.poisson(mean, n), most)[:, None]
    rank = skies.companion_N[:, None]
    low, high = companions["flux_ratio"]
    bright = np.where(rank > 0, low * (high / low) ** rank, 0) * skies.flux_NP.sum(1, keepdims=True)
    near, far = companions["distance_arcsec"]
    radius = np.sqrt(near**2 + (far**2 - near**2) * g.random((n, 1))) * survey.size_scale
    angle, turn = g.uniform(0, 2 * np.pi, (2, n, 1))
    double = (g.random((n, 1)) < companions["double_chance"]).astype(float)
    half = double * g.uniform(*companions["separation_arcsec"], (n, 1)) * survey.size_scale / 2
    part = 0.5 + 0.5 * (1 - double) + double * g.uniform(-0.25, 0.25, (n, 1))
    sign = np.array([[1.0, -1.0]])
    x = (radius * np.cos(angle) + sign * half * np.cos(turn)) / scale
    y = (radius * np.sin(angle) + sign * half * np.sin(turn)) / scale
    pair = bright * np.concatenate([part, 1 - part], 1)
    joined = ((place[0], x), (place[1], y), (flux, pair))
    return tuple(np.concatenate(both, 1).astype(np.float32) for both in joined)


def map_size(survey: Survey, size_px: int) -> int:
    """Return the side of the map that an image needs: a margin of the beam's width, and a length with a quick FFT."""
    margin = int(np.ceil(3.5 * survey.beam.sigma_px(survey.pixel_scale_arcsec)[0] * (1 + 2 * survey.beam_spread))) + 1
    return scipy.fft.next_fast_len(size_px + 2 * margin, real=True)


def render(scene: Scene, survey: Survey, size_px: int, *, noise: bool = True, others: bool = True) -> np.ndarray:
    """Return images (N, size, size), float32, mJy/beam: ``beam * sky + noise``; the centre is pixel (size - 1) / 2."""
    size = map_size(survey, size_px)
    x, y, flux = scene.x_px_NP, scene.y_px_NP, scene.flux_NP
    if others:
        x = np.concatenate([x, scene.other_x_px_NQ], 1)
        y = np.concatenate([y, scene.other_y_px_NQ], 1)
        flux = np.concatenate([flux, scene.other_flux_NQ], 1)
    compact = np.concatenate([COMPACT_P, np.ones(x.shape[1] - len(COMPACT_P), bool)])
    sky = _transform(x, y, flux, compact, scene, size_px, size, survey)
    image = _convolve(sky, scene, survey, size)[:, :size_px, :size_px]
    if noise:
        add_noise(image, scene, noise_tile(survey))
    return image


def component_maps(scene: Scene, survey: Survey, size_px: int) -> np.ndarray:
    """Return noiseless images of every component, (N, 4, size, size) in mJy/beam: core, jets, lobes, hot spots."""
    size, maps = map_size(survey, size_px), []
    for component in range(len(COMPONENTS)):
        of = np.flatnonzero(component == COMPONENT_P)
        x, y, flux = (particles[:, of] for particles in (scene.x_px_NP, scene.y_px_NP, scene.flux_NP))
        sky = _transform(x, y, flux, COMPACT_P[of], scene, size_px, size, survey)
        maps.append(_convolve(sky, scene, survey, size, sidelobes=False)[:, :size_px, :size_px])
    return np.stack(maps, 1)


def _transform(
    x_px: np.ndarray, y_px: np.ndarray, flux: np.ndarray, compact: np.ndarray, scene: Scene, size_px: int, size: int,
    survey: Survey,
) -> np.ndarray:  # fmt: skip
    """Return the transforms of maps whose first ``size_px`` rows and columns are the image, the margin around wrapped.

    Sources beyond the margin are lost. ``compact`` tells the points, whose place within a pixel must not change their
    width, from the extended rest, which is smoothed over its grain where the beam does not hide that.
    """
    margin = (size - size_px) // 2
    first = np.float32((size_px - 1) / 2 + margin)
    wide = ~compact
    sky = deposit(x_px[:, wide] + first, y_px[:, wide] + first, flux[:, wide], size) if wide.any() else None
    points = deposit_points(x_px[:, compact] + first, y_px[:, compact] + first, flux[:, compact], size)
    shift = (-margin, -margin)
    beam_px = survey.beam.sigma_px(survey.pixel_scale_arcsec)[1]
    grainy = np.flatnonzero(scene.smooth_px_N > GRAIN * beam_px) if wide.any() else np.zeros(0, int)
    smoothed = None
    if len(grainy):
        u, v = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
        exponent = np.float32(-2 * np.pi**2) * (u**2 + v**2).astype(np.float32)
        smoothed = scipy.fft.rfft2(np.roll(sky[grainy], shift, (1, 2)), workers=1)
        smoothed *= np.exp(exponent * scene.smooth_px_N[grainy, None, None] ** 2)
        sky[grainy] = 0
    transform = scipy.fft.rfft2(np.roll(points if sky is None else sky + points, shift, (1, 2)), workers=1)
    if smoothed is not None:
        transform[grainy] += smoothed
    return transform


def deposit_points(x_px_NP: np.ndarray, y_px_NP: np.ndarray, flux_NP: np.ndarray, size: int) -> np.ndarray:
    """Share each point's flux among nine pixels by quadratic splines: every place has the same width, 1/2 pixel.

    Dividing the transform by :func:`spline_transform` takes that width out again. Returns (N, size, size) float32.
    """
    n = len(x_px_NP)
    column, row = np.rint(x_px_NP), np.rint(y_px_NP)
    inside = (column >= 1) & (row >= 1) & (column < size - 1) & (row < size - 1) & (flux_NP > 0)
    source, point = np.nonzero(inside)
    x, y, flux = (v[source, point] for v in (x_px_NP, y_px_NP, flux_NP))
    column, row = column[source, point], row[source, point]
    base = (source * size + row.astype(np.int64)) * size + column.astype(np.int64)
    share_x, share_y = (
        (0.5 * (0.5 - d) ** 2, 0.75 - d**2, 0.5 * (0.5 + d) ** 2) for d in (x - column, y - row)
    )  # fmt: skip
    place = np.stack([base + size * i + j for i in (-1, 0, 1) for j in (-1, 0, 1)])
    share = np.stack([share_y[i] * share_x[j] * flux for i in range(3) for j in range(3)])
    return np.bincount(place.ravel(), share.ravel(), n * size * size).reshape(n, size, size).astype(np.float32)


@lru_cache(maxsize=16)
def spline_transform(size: int) -> np.ndarray:
    """Return the transform (size, size // 2 + 1) of the quadratic spline: ``sinc(u)^3 sinc(v)^3``."""
    value = (np.sinc(np.fft.fftfreq(size))[:, None] * np.sinc(np.fft.rfftfreq(size))[None]) ** 3
    return value.astype(np.float32)


@lru_cache(maxsize=16)
def responses(survey: Survey, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the transforms of all beams, (BEAMS, size, size // 2 + 1), and of the sidelobes in all their angles."""
    scale = survey.pixel_scale_arcsec
    spline = spline_transform(size)
    beams = np.stack([beam_transform(beam, scale, size) / spline for beam in survey_beams(survey)])
    return beams, spike_transforms(survey.beam, scale, size) / spline


def _convolve(transform: np.ndarray, scene: Scene, survey: Survey, size: int, *, sidelobes: bool = True) -> np.ndarray:
    beams, spikes = responses(survey, size)
    response = beams[scene.beam_N] if len(beams) > 1 else beams
    if sidelobes and survey.sidelobe_level > 0 and survey.snapshot_arms:
        response = response + scene.sidelobe_N[:, None, None] * spikes[scene.spike_N]
    transform *= response
    return scipy.fft.irfft2(transform, s=(size, size), workers=1, overwrite_x=True)


def add_noise(image_NHW: np.ndarray, scene: Scene, tile: np.ndarray) -> None:
    """Add to every image, in place, its rms times a window of the tile, at a random place, turned and reflected."""
    size = image_NHW.shape[-1]
    span = TILE - size
    for image, rms, (row, column, turn) in zip(image_NHW, scene.rms_N, scene.noise_N3, strict=True):
        row, column = row * span // TILE, column * span // TILE
        window = tile[row : row + size, column : column + size]
        if turn & 1:
            window = window.T
        image += rms * window[:: -1 if turn & 2 else 1, :: -1 if turn & 4 else 1]
