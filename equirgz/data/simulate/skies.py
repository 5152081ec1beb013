"""Skies of radio galaxies, second version: any family of priors.yaml as weighted particles, without a random cloud.

Two arms leave the core along curved spines. Along a plume the particles lie at even steps and weigh what the law of
the plume says; lobes and spots are filled by low-discrepancy points: so 1,500 particles are as smooth as ten times as
many random ones. Legend: N sources, S the two arms, P particles of a component, T steps of a spine; ``t`` runs along
an arm from the core (0) to its end (1).

* plume: flux per length ~ t^rise exp(-t / fade), half-width ``opening * t^flare`` of the arm, with knots
* lobe: backflow from the end over ``back`` of the arm, brightest near the end where ``lean`` is above 1
* spots: hot at the ends (FRII), warm along the plume
* second pair: an inner double (double-double) or wings at an angle (X shape)

A direction turns by ``bend * tanh(t / place) / tanh(1 / place)`` in opposite senses on both arms, so to one side of the
source, and by ``s_bend`` likewise in one sense. Beaming gives the jets a flux ratio of
((1 + beta cos i) / (1 - beta cos i))^2.7.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import ndtri

from equirgz.data.simulate.priors import CLASS_NAMES, Priors
from equirgz.data.simulate.truth import measure_truth

COMPONENTS = ("core", "jets", "lobes", "hot_spots")
CORE, JET, LOBE, HOT = range(4)
_N_JET, _N_LOBE, _N_HOT, _N_PAIR = 256, 320, 24, 160
_SHIFTS = 64
_ONE_SIDED, _REST = 2.7, 0.5  # exponent 2 + alpha, alpha = 0.7; cosine at which a core has its drawn share
#: of every particle: its component, and its arm (-1: the core)
COMPONENT_P = np.repeat(
    np.array([CORE, JET, LOBE, HOT, LOBE], np.int8), [1, 2 * _N_JET, 2 * _N_LOBE, 2 * _N_HOT, 2 * _N_PAIR]
)
SIDE_P = np.concatenate(
    [np.array([-1], np.int8)] + [np.repeat(np.arange(2, dtype=np.int8), n) for n in (_N_JET, _N_LOBE, _N_HOT, _N_PAIR)]
)
SECOND_PAIR_P = np.arange(len(SIDE_P)) >= len(SIDE_P) - 2 * _N_PAIR


@dataclass(frozen=True)
class Skies:
    """Particles (N, P) at (x, y) arcsec from the core with flux densities in mJy, and the truth of every source.

    Particle p belongs to component ``COMPONENT_P[p]`` and arm ``SIDE_P[p]``. ``truth`` holds arrays (N,), NaN for what
    a source without flux lacks; see :func:`equirgz.data.simulate.truth.measure_truth`. ``off_centre`` says where
    between core (0) and centroid (1) an image is centred, ``companion`` is the rank of a companion's flux (0: none),
    ``grain`` the distance of neighbouring particles of the extended components, arcsec: smooth them by half of it.
    """

    x_NP: np.ndarray
    y_NP: np.ndarray
    flux_NP: np.ndarray
    truth: dict[str, np.ndarray]
    off_centre_N: np.ndarray
    companion_N: np.ndarray
    grain_N: np.ndarray


@cache
def _even_points(n: int, dimension: int) -> np.ndarray:
    """Return n even points in [0, 1), (n, d), and the same shifted ``_SHIFTS`` times: (shifts, d, n) float32."""
    root = {1: 1.6180339887498949, 2: 1.3247179572447460, 3: 1.2207440846057595}[dimension]
    alpha_D = root ** -np.arange(1.0, dimension + 1)
    shift_KD = (np.arange(_SHIFTS)[:, None] * alpha_D[::-1] * 7 + 0.5) % 1
    points = (np.arange(n) * alpha_D[:, None] + shift_KD[:, :, None]) % 1
    return np.clip(points, 1e-4, 1 - 1e-4)


@cache
def _normal_bank(n: int) -> np.ndarray:
    """Return (shifts, n) float32: even quantiles of the normal distribution in a mixed order."""
    return ndtri(_even_points(n, 1)[:, 0]).astype(np.float32)


@cache
def _lobe_bank(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (shifts, n) each: a uniform depth, and a place across of semicircular density in (-1, 1)."""
    points = _even_points(n, 2)
    grid = np.linspace(-1, 1, 2001)
    mass = 0.5 + (grid * np.sqrt(1 - grid**2) + np.arcsin(grid)) / np.pi
    return points[:, 0].astype(np.float32), np.interp(points[:, 1], mass, grid).astype(np.float32)


@cache
def _spot_bank(n: int) -> np.ndarray:
    """Return (shifts, 2, n) float32: points of a round normal distribution of unit sigma."""
    points = _even_points(n, 2)
    radius, angle = np.sqrt(-2 * np.log(1 - points[:, 0] * 0.995)), 2 * np.pi * points[:, 1]
    spot = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    spot -= spot.mean(2, keepdims=True)
    return (spot / spot.std(axis=2, keepdims=True)).astype(np.float32)


def make_skies(
    family_N: np.ndarray,
    priors: Priors,
    generator: np.random.Generator,
    *,
    size_scale: float = 1.0,
    flux_scale: float = 1.0,
) -> Skies:
    """Return one random source for every index of a family.

    The particles are scaled so that the largest angular size is the drawn one (by at most 1/2 to 2); the fluxes so
    that they sum to the drawn flux. A family of class ``none`` has no flux.
    """
    n = len(family_N)
    q = {key: value.astype(np.float32) for key, value in priors.draw(family_N, generator).items()}
    kind_N = priors.class_F[family_N]
    las_N = q["las"][:, 0] * np.float32(size_scale)
    flux_N = np.maximum(q["flux"][:, 0], q["faintest"][:, 0] * q["las"][:, 0] / 100) * np.float32(flux_scale)
    flux_N[kind_N == CLASS_NAMES.index("none")] = 0
    asymmetry_N1 = q["arm_asymmetry"]
    length_NS = las_N[:, None] / 2 * np.concatenate([1 + asymmetry_N1, 1 - asymmetry_N1], 1)
    spine = _spines(length_NS, q, generator)
    core_N, share = _flux_shares(q)
    parts = [
        _plumes(length_NS, spine, q, share["jet"], generator),
        _lobes(length_NS, spine, q, share["lobe"], generator),
        _spots(length_NS, spine, q, share["hot"], generator),
        _second_pair(length_NS, q, share["pair"], generator),
    ]
    zero = np.zeros((n, 1), np.float32)
    x, y, weight = (np.concatenate([first, *(part[i] for part in parts)], 1) for i, first in enumerate([zero] * 3))
    rest = weight.sum(1)
    weight *= np.divide(1 - core_N, rest, out=np.zeros_like(rest), where=rest > 0)[:, None]
    weight[:, 0] = core_N
    truth = measure_truth(x, y, weight, las_N, COMPONENT_P, SIDE_P)
    scale_N1 = truth.pop("scale")[:, None]
    angle_N = generator.uniform(0, 2 * np.pi, n).astype(np.float32)
    cos, sin = np.cos(angle_N)[:, None] * scale_N1, np.sin(angle_N)[:, None] * scale_N1
    truth |= {
        "flux_mjy": flux_N,
        "inclination_deg": np.rad2deg(np.arccos(q["cos_inclination"][:, 0])),
        "second_pair_share": weight[:, SECOND_PAIR_P].sum(1),
    }
    light_N = np.where(flux_N > 0, 1, np.nan)
    truth = {
        name: (value if name == "flux_mjy" else value * light_N).astype(np.float32) for name, value in truth.items()
    }
    flux_NP = weight * flux_N[:, None]
    grain_N = _grain(length_NS, q, share) * scale_N1[:, 0]
    x, y = cos * x - sin * y, sin * x + cos * y
    return Skies(x, y, flux_NP, truth, q["off_centre"][:, 0], q["companion"][:, 0], grain_N)


def _spines(length_NS: np.ndarray, q: dict[str, np.ndarray], g: np.random.Generator) -> dict[str, np.ndarray]:
    """Return steps of both spines: x, y (arcsec) and cosine and sine of the direction, each (N, S, T)."""
    n = len(length_NS)
    t_T = ((np.arange(_N_JET) + 0.5) / _N_JET).astype(np.float32)
    place = q["bend_place"]
    turn_N1T = np.tanh(t_T / place[:, :1, None]) / np.tanh(1 / place[:, :1, None])
    sign_S = np.array([1, -1], np.float32)
    turned_NS = sign_S * q["bend"] + q["s_bend"]
    phase = g.uniform(0, 2 * np.pi, (n, 2, 1)).astype(np.float32)
    wave = np.sin((2 * np.pi * q["waves"])[:, :, None] * t_T + phase) - np.sin(phase)
    direction = turned_NS[:, :, None] * turn_N1T + q["wiggle"][:, :, None] * wave
    cos, sin = np.cos(direction), np.sin(direction)
    cos[:, 1] *= -1  # the second arm leaves the other way
    sin[:, 1] *= -1
    step = (length_NS / _N_JET)[:, :, None].astype(np.float32)
    return {"x": np.cumsum(cos, 2) * step, "y": np.cumsum(sin, 2) * step, "cos": cos, "sin": sin, "t": t_T}


def _flux_shares(q: dict[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the share of the core (N,) and the shares of jets, lobes, spots and second pair of both arms, (N, S)."""
    beta, cos_i = q["beta"][:, 0], q["cos_inclination"][:, 0]
    boost = np.minimum(((1 - beta * _REST) / (1 - beta * cos_i)) ** 2, 4.0)
    core_N = 1 - (1 - q["core"][:, 0]) ** boost
    beamed = _ONE_SIDED * np.log((1 + beta * cos_i) / (1 - beta * cos_i))

    def sides(log_ratio_N: np.ndarray) -> np.ndarray:
        near_N = 1 / (1 + np.exp(-log_ratio_N))
        return np.stack([near_N, 1 - near_N], 1).astype(np.float32)

    left = 1 - q["hot"]
    pair_N1 = q["pair"]
    lobes_NS = sides(q["lobe_side"][:, 0])
    share = {
        "jet": left * q["jet"] * sides(beamed + q["jet_side"][:, 0]) * (1 - pair_N1),
        "lobe": left * (1 - q["jet"]) * lobes_NS * (1 - pair_N1),
        "hot": q["hot"] * sides(q["hot_side"][:, 0]) * (1 - pair_N1),
    }
    whole = sum(share.values()).sum(1, keepdims=True)
    share = {name: value / np.maximum(whole, 1e-12) * (1 - pair_N1) for name, value in share.items()}
    return core_N, {**share, "pair": pair_N1 * lobes_NS}


def _grain(length_NS: np.ndarray, q: dict[str, np.ndarray], share: dict[str, np.ndarray]) -> np.ndarray:
    """Return the greatest distance of neighbouring particles of every source's plumes and lobes, arcsec, (N,)."""
    square = length_NS**2
    areas = (
        (2.5 * square * q["opening"] / _N_JET, share["jet"]),
        (1.8 * square * q["back"] * q["axial"] / _N_LOBE, share["lobe"]),
        (1.5 * square * q["pair_length"] ** 2 * q["pair_axial"] / _N_PAIR, share["pair"]),
    )
    return np.sqrt(np.max([np.where(part > 0.01, area, 0).max(1) for area, part in areas], axis=0)).astype(np.float32)


def _spread(share_NS: np.ndarray, weight_NSP: np.ndarray) -> np.ndarray:
    """Return the weights (N, S * P) so that those of an arm sum to its share."""
    weight = weight_NSP * (share_NS / weight_NSP.sum(2))[:, :, None]
    return weight.reshape(len(weight), -1).astype(np.float32)


def _flat(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return x.reshape(len(x), -1), y.reshape(len(y), -1)


def _rows(bank: np.ndarray, n: int, g: np.random.Generator) -> np.ndarray:
    """Return a random row of the bank for every source and arm."""
    return bank[g.integers(0, _SHIFTS, (n, 2))]


def _knots(t: np.ndarray, depth_NS: np.ndarray, g: np.random.Generator, slant: np.ndarray) -> np.ndarray:
    """Return a smooth positive random modulation along t and, by ``slant``, across: knots and filaments."""
    exponent = np.zeros((*depth_NS.shape, t.shape[-1]), np.float32)
    for low, high in ((1.5, 3.0), (3.5, 7.0)):
        waves, phase, part = (
            g.uniform(a, b, (*depth_NS.shape, 1)).astype(np.float32) for a, b in ((low, high), (0, 1), (0.3, 1.0))
        )
        angle = np.float32(2 * np.pi) * (waves * t + phase) + slant
        exponent += (depth_NS[:, :, None] * part) * np.sin(angle)
    return np.exp(exponent)


def _plumes(length_NS, spine, q, share_NS, g):
    t = spine["t"]
    log_t = np.log(t)
    weight = np.exp(q["rise"][:, :, None] * log_t - t / q["fade"][:, :, None]) * (1 - t**8)
    width = (length_NS * q["opening"])[:, :, None] * (0.1 + np.exp(q["flare"][:, :, None] * log_t))
    width = np.sqrt(width**2 + q["plume_floor"][:, :, None] ** 2)
    place_across = _rows(_normal_bank(_N_JET), len(length_NS), g)
    weight = weight * _knots(t, q["jet_knots"], g, slant=np.float32(1.2) * place_across)
    across = width * place_across
    x, y = spine["x"] - across * spine["sin"], spine["y"] + across * spine["cos"]
    return (*_flat(x, y), _spread(share_NS, weight))


def _lobes(length_NS, spine, q, share_NS, g):
    n = len(length_NS)
    depth_bank, across_bank = _lobe_bank(_N_LOBE)
    row_NS = g.integers(0, _SHIFTS, (n, 2))
    depth = depth_bank[row_NS] ** q["lean"][:, :, None]
    t = 1 - q["back"][:, :, None] * depth
    place_across = across_bank[row_NS]
    half_width = (q["axial"] * length_NS)[:, :, None] * (0.12 + 2 * np.sqrt(depth * (1 - depth)))
    across = half_width * place_across
    low = np.clip((t * _N_JET - 0.5).astype(np.int64), 0, _N_JET - 1)
    flat = (np.arange(2 * n, dtype=np.int64) * _N_JET).reshape(n, 2, 1) + low
    x, y, cos, sin = (spine[key].ravel()[flat] for key in ("x", "y", "cos", "sin"))
    past = (length_NS[:, :, None] / _N_JET) * (t * _N_JET - 0.5 - low)
    x, y = x + past * cos - across * sin, y + past * sin + across * cos
    weight = _knots(t, q["lobe_knots"], g, slant=np.float32(2.0) * place_across)
    return (*_flat(x, y), _spread(share_NS, weight))


def _spots(length_NS, spine, q, share_NS, g):
    n = len(length_NS)
    place_NS = np.broadcast_to(q["hot_place"], (n, 2))
    sigma = np.sqrt((length_NS * q["hot_size"]) ** 2 + q["hot_floor"] ** 2)[:, :, None]
    bank = _rows(_spot_bank(_N_HOT), n, g)  # (N, S, 2, P)
    low = np.clip((place_NS * _N_JET).astype(np.int64), 0, _N_JET - 1)[:, :, None]
    x, y, cos, sin = (np.take_along_axis(spine[key], low, 2) for key in ("x", "y", "cos", "sin"))
    past = (length_NS * np.maximum(place_NS - 1, 0))[:, :, None]
    off = (length_NS * q["hot_off"])[:, :, None] * np.clip(place_NS * 2, 0, 1)[:, :, None]
    x, y = x + past * cos - off * sin, y + past * sin + off * cos
    x, y = x + sigma * bank[:, :, 0], y + sigma * bank[:, :, 1]
    return (*_flat(x, y), _spread(share_NS, np.ones((n, 2, _N_HOT), np.float32)))


def _second_pair(length_NS, q, share_NS, g):
    """Return straight lobes at ``pair_angle``, for the sources that have them; zeros elsewhere."""
    n = len(length_NS)
    x, y, weight = (np.zeros((n, 2 * _N_PAIR), np.float32) for _ in range(3))
    has = np.flatnonzero(q["pair"][:, 0] > 0)
    row = g.integers(0, _SHIFTS, (n, 2))[has]
    if len(has):
        depth_bank, across_bank = _lobe_bank(_N_PAIR)
        length = (length_NS[has] * q["pair_length"][has])[:, :, None]
        depth = depth_bank[row] ** q["pair_lean"][has][:, :, None]
        along = length * (1 - 0.85 * depth)
        across = q["pair_axial"][has][:, :, None] * length * (0.15 + 2 * np.sqrt(depth * (1 - depth)))
        across = across * across_bank[row]
        angle = q["pair_angle"][has][:, :, None]
        sign = np.array([1, -1], np.float32)[:, None]
        x[has], y[has] = _flat(
            sign * (along * np.cos(angle) - across * np.sin(angle)),
            sign * (along * np.sin(angle) + across * np.cos(angle)),
        )
        weight[has] = _spread(share_NS[has], np.ones_like(depth))
    return x, y, weight
