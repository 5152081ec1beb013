"""Skies of radio galaxies: jets, lobes, hot spots and cores as weighted particles.

One physical description serves every class; a class is a region of its parameters. Two jets leave
the core along curved spines. Legend: N sources, S the two sides, P particles of one component, K
knots of a spine. ``t`` runs along a spine from the core (0) to the end of the source (1).

* FRI: flux per length along a flaring plume ~ t^a exp(-t/tau), brightest near the core, edge-darkened.
* FRII: a hot spot at each end, a lobe of backflow filling part of the way to the core, a weak and
  beamed jet; edge-brightened (Fanaroff & Riley 1974).
* bent: FRI plumes (wide-angle: with warm spots where they turn) swept to one side by ram pressure,
  turning by kappa * tanh(t / t_bend).
* compact: a core, or a double unresolved by a 5-arcsec beam.

Random inclination foreshortens lengths and beams the jets: their flux ratio is
((1 + beta cos i) / (1 - beta cos i))^(2 + alpha) with alpha = 0.7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CLASS_NAMES = ("FRI", "FRII", "bent", "compact")
FRI, FRII, BENT, COMPACT = range(4)
_KNOTS = 33
_N_JET, _N_LOBE, _N_HOT = 640, 800, 48


@dataclass(frozen=True)
class Sources:
    """Particles at (x, y) arcsec from the core, each with a flux density in Jy."""

    x_arcsec_NP: np.ndarray
    y_arcsec_NP: np.ndarray
    flux_jy_NP: np.ndarray
    las_arcsec_N: np.ndarray
    flux_jy_N: np.ndarray


def _pick(kind_N: np.ndarray, *per_class: np.ndarray | float) -> np.ndarray:
    """Return for every source the draw of its class (FRI, FRII, bent, compact)."""
    return np.choose(kind_N, [np.broadcast_to(values, kind_N.shape) for values in per_class]).astype(np.float32)


def draw_sources(
    kind_N: np.ndarray, generator: np.random.Generator, *, size_scale: float = 1.0, flux_scale: float = 1.0
) -> Sources:
    """Draw one random source per entry of ``kind_N`` (an index into CLASS_NAMES).

    Largest angular sizes are log-normal about 60 (FRI, bent) and 40 arcsec (FRII), flux densities
    log-normal about 60-80 mJy, as in MiraBest; ``size_scale`` and ``flux_scale`` multiply them.
    """
    n = len(kind_N)
    g = generator
    las_N = (
        _pick(
            kind_N,
            np.clip(60 * g.lognormal(0, 0.5, n), 24, 230),
            np.clip(40 * g.lognormal(0, 0.7, n), 14, 230),
            np.clip(65 * g.lognormal(0, 0.45, n), 24, 230),
            g.uniform(0.3, 6, n),
        )
        * size_scale
    )
    faintest_N = 3e-3 + 2.5e-4 * las_N  # surveys select on surface brightness
    flux_N = np.clip(_pick(kind_N, 0.06, 0.08, 0.08, 0.03) * g.lognormal(0, 0.9, n), faintest_N, 3.0)
    flux_N = (flux_scale * flux_N).astype(np.float32)
    length_NS = _arm_lengths(kind_N, las_N, g)
    spine = _spines(kind_N, length_NS, g)
    shares = _flux_shares(kind_N, g)
    parts = [
        _core(n),
        _jets(kind_N, length_NS, spine, shares["jet_NS"], g),
        _lobes(kind_N, length_NS, spine, shares["lobe_NS"], g),
        _hot_spots(kind_N, length_NS, spine, shares["hot_NS"], g),
    ]
    parts[0][2][:, 0] = shares["core_N"]
    x, y, weight = (np.concatenate([part[i] for part in parts], 1) for i in range(3))
    weight *= flux_N[:, None] / weight.sum(1, keepdims=True)
    angle_N = g.uniform(0, 2 * np.pi, n).astype(np.float32)
    cos, sin = np.cos(angle_N)[:, None], np.sin(angle_N)[:, None]
    return Sources(cos * x - sin * y, sin * x + cos * y, weight, las_N, flux_N)


def _arm_lengths(kind_N: np.ndarray, las_N: np.ndarray, g: np.random.Generator) -> np.ndarray:
    """Return the arc length of both arms, arcsec; the ends lie about ``las`` apart."""
    asymmetry_N = np.clip(g.normal(0, _pick(kind_N, 0.15, 0.12, 0.08, 0.1)), -0.45, 0.45)
    sides_NS = np.stack([1 + asymmetry_N, 1 - asymmetry_N], 1)
    return (las_N[:, None] / 2 * sides_NS).astype(np.float32)


def _spines(kind_N: np.ndarray, length_NS: np.ndarray, g: np.random.Generator) -> dict[str, np.ndarray]:
    """Return knots of both spines: x, y (arcsec) and direction (radian), each (N, 2, K)."""
    n = len(kind_N)
    t_K = np.linspace(0, 1, _KNOTS, dtype=np.float32)
    # kappa > 0 turns both arms to the same side; s_shape turns them to opposite sides
    wide_N = g.random(n) < 0.6
    bent_N = np.where(wide_N, g.uniform(0.7, 1.4, n), g.uniform(1.3, 2.4, n))
    kappa_N = _pick(kind_N, np.abs(g.normal(0, 0.28, n)), np.abs(g.normal(0, 0.12, n)), bent_N, 0.0)
    s_shape_N = _pick(kind_N, g.normal(0, 0.3, n), g.normal(0, 0.1, n), g.normal(0, 0.2, n), 0.0)
    t_bend_N = _pick(kind_N, 0.6, 0.8, g.uniform(0.15, 0.6, n), 1.0)
    wiggle_NS = g.normal(0, 1, (n, 2)) * _pick(kind_N, 0.35, 0.06, 0.3, 0.0)[:, None]
    phase_NS, waves_NS = g.uniform(0, 2 * np.pi, (n, 2)), g.uniform(0.6, 1.6, (n, 2))
    turn_NK = np.tanh(t_K / t_bend_N[:, None]) / np.tanh(1 / t_bend_N[:, None])
    sign_S = np.array([1.0, -1.0])
    direction_NSK = (
        (sign_S * kappa_N[:, None] + s_shape_N[:, None])[:, :, None] * turn_NK[:, None]
        + wiggle_NS[:, :, None] * np.sin(2 * np.pi * waves_NS[:, :, None] * t_K + phase_NS[:, :, None])
        + (np.pi * np.array([0.0, 1.0]))[None, :, None]
    ).astype(np.float32)
    step_NS = (length_NS / (_KNOTS - 1))[:, :, None]
    x, y = np.cos(direction_NSK) * step_NS, np.sin(direction_NSK) * step_NS
    x[:, :, 0] = y[:, :, 0] = 0
    return {"x": np.cumsum(x, 2), "y": np.cumsum(y, 2), "direction": direction_NSK}


def _along(spine: dict[str, np.ndarray], t_NSP: np.ndarray, across_NSP: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (x, y) at the spine's place ``t`` (beyond 1: straight on), ``across`` arcsec to its left."""
    place = np.clip(t_NSP * (_KNOTS - 1), 0, None)
    low = np.minimum(place.astype(np.int64), _KNOTS - 2)
    rest = (place - low).astype(np.float32)
    x0, x1 = (np.take_along_axis(spine["x"], low + i, 2) for i in (0, 1))
    y0, y1 = (np.take_along_axis(spine["y"], low + i, 2) for i in (0, 1))
    direction = np.take_along_axis(spine["direction"], low + 1, 2)
    x = x0 + rest * (x1 - x0) - across_NSP * np.sin(direction)
    y = y0 + rest * (y1 - y0) + across_NSP * np.cos(direction)
    n = len(x)
    return x.reshape(n, -1), y.reshape(n, -1)


def _flux_shares(kind_N: np.ndarray, g: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the flux shares of core (N,) and of jets, lobes and hot spots on both sides (N, 2)."""
    n = len(kind_N)
    core_N = np.clip(
        _pick(
            kind_N,
            0.06 * g.lognormal(0, 1.0, n),
            0.03 * g.lognormal(0, 1.2, n),
            0.08 * g.lognormal(0, 0.9, n),
            0.6,
        ),
        0,
        0.6,
    )
    rest_N = 1 - core_N
    hot_N = rest_N * _pick(
        kind_N,
        np.where(g.random(n) < 0.4, g.uniform(0.02, 0.1, n), 0),
        g.uniform(0.08, 0.55, n),
        np.where(g.random(n) < 0.5, g.uniform(0.03, 0.15, n), 0),
        0.4,
    )
    jet_N = (rest_N - hot_N) * _pick(
        kind_N,
        np.where(g.random(n) < 0.4, g.uniform(0.5, 0.8, n), g.uniform(0.8, 1.0, n)),
        np.clip(0.05 * g.lognormal(0, 0.9, n), 0, 0.25),
        g.uniform(0.7, 1.0, n),
        1.0,
    )
    lobe_N = rest_N - hot_N - jet_N
    cos_i_N = g.uniform(0, 0.9, n)
    beta_N = _pick(kind_N, g.uniform(0, 0.3, n), g.uniform(0.3, 0.8, n), g.uniform(0, 0.15, n), 0.0)
    ratio_N = ((1 + beta_N * cos_i_N) / (1 - beta_N * cos_i_N)) ** 2.7

    def sides(total_N: np.ndarray, ratio_N: np.ndarray) -> np.ndarray:
        near_N = ratio_N / (1 + ratio_N)
        return (total_N[:, None] * np.stack([near_N, 1 - near_N], 1)).astype(np.float32)

    spread_N = _pick(kind_N, 0.3, 0.4, 0.3, 0.3)
    return {
        "core_N": core_N,
        "jet_NS": sides(jet_N, ratio_N * np.exp(g.normal(0, spread_N))),
        "lobe_NS": sides(lobe_N, np.exp(g.normal(0, spread_N))),
        "hot_NS": sides(hot_N, np.exp(g.normal(0, 1.8 * spread_N))),
    }


def _core(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(np.zeros((n, 1), np.float32) for _ in range(3))


def _spread_flux(share_NS: np.ndarray, weight_NSP: np.ndarray) -> np.ndarray:
    weight = weight_NSP * (share_NS[:, :, None] / weight_NSP.sum(2, keepdims=True))
    return weight.reshape(len(weight), -1).astype(np.float32)


def _knotty(t_NSP: np.ndarray, strength: float, g: np.random.Generator) -> np.ndarray:
    """Return a smooth positive random modulation along t, mean about 1: knots and filaments."""
    n = len(t_NSP)
    exponent = np.zeros_like(t_NSP)
    for waves in (2.0, 4.5):
        phase = g.uniform(0, 2 * np.pi, (n, 2, 1)).astype(np.float32)
        depth = strength * g.random((n, 2, 1)).astype(np.float32)
        exponent += depth * np.sin(np.float32(2 * np.pi * waves) * t_NSP + phase)
    return np.exp(exponent)


def _jets(kind_N, length_NS, spine, share_NS, g):
    """Plumes: flux per length ~ t^a exp(-t/tau), width growing from the flare outwards."""
    n = len(kind_N)
    rise_N = _pick(kind_N, g.uniform(0.0, 1.7, n), 0.0, g.uniform(0.2, 2.0, n), 0.0)
    tau_N = _pick(kind_N, g.uniform(0.15, 0.32, n), 3.0, g.uniform(0.18, 0.4, n), 1.0)
    t = g.standard_gamma(rise_N[:, None, None] + 1, (n, 2, _N_JET), dtype=np.float32) * tau_N[:, None, None]
    uniform = g.random((n, 2, _N_JET), dtype=np.float32)
    t = np.where(t > 1.0, uniform ** _pick(kind_N, 0.7, 1, 0.7, 1)[:, None, None], t)
    opening_N = _pick(kind_N, g.uniform(0.05, 0.22, n), 0.012, g.uniform(0.05, 0.2, n), 0.1)
    flare_N = _pick(kind_N, g.uniform(0.4, 1.0, n), 1.0, g.uniform(0.5, 1.2, n), 1.0)
    width = length_NS[:, :, None] * opening_N[:, None, None] * (0.1 + t ** flare_N[:, None, None])
    across = width * g.standard_normal((n, 2, _N_JET), dtype=np.float32)
    return (*_along(spine, t, across), _spread_flux(share_NS, _knotty(t, 0.9, g)))


def _lobes(kind_N, length_NS, spine, share_NS, g):
    """Backflow: an ellipsoid from the end back over a share of the arm, brightest near the end (FRII)."""
    n = len(kind_N)
    back_NS = np.where((kind_N == FRII)[:, None], g.uniform(0.3, 1.0, (n, 2)), g.uniform(0.5, 1.0, (n, 2)))[:, :, None]
    lean_N = _pick(kind_N, g.uniform(0.6, 1.2, n), g.uniform(0.9, 2.2, n), g.uniform(0.8, 1.4, n), 1.0)
    depth = g.random((n, 2, _N_LOBE), dtype=np.float32) ** lean_N[:, None, None]
    t = (1 - back_NS * depth).astype(np.float32)
    axial_NS = _pick(kind_N, g.uniform(0.15, 0.4, n), g.uniform(0.12, 0.4, n), g.uniform(0.12, 0.3, n), 0.2)[:, None]
    half_width = (axial_NS * length_NS)[:, :, None] * (0.12 + 2 * np.sqrt(depth * (1 - depth)))
    radius = np.sqrt(g.random((n, 2, _N_LOBE), dtype=np.float32))
    across = half_width * radius * np.cos(2 * np.pi * g.random((n, 2, _N_LOBE), dtype=np.float32))
    return (*_along(spine, t, across.astype(np.float32)), _spread_flux(share_NS, _knotty(t, 0.5, g)))


def _hot_spots(kind_N, length_NS, spine, share_NS, g):
    """Hot spots at the ends (FRII, compact doubles), warm spots along the plume (FRI, bent)."""
    n = len(kind_N)
    sides = (n, 2)
    place_NS = np.choose(
        kind_N[:, None],
        [
            g.uniform(0.2, 0.7, sides),
            g.uniform(0.84, 1.0, sides),
            g.uniform(0.15, 0.5, sides),
            np.ones(sides),
        ],
    )
    size_NS = np.maximum(0.8, length_NS * g.uniform(0.02, 0.07, sides))[:, :, None]
    off_NS = (length_NS * g.normal(0, 0.05, sides))[:, :, None]
    jitter = g.standard_normal((2, n, 2, _N_HOT), dtype=np.float32) * size_NS.astype(np.float32)
    t = np.broadcast_to(place_NS[:, :, None], jitter[0].shape) + jitter[0] / length_NS[:, :, None]
    across = (jitter[1] + off_NS).astype(np.float32)
    return (*_along(spine, t.astype(np.float32), across), _spread_flux(share_NS, np.ones_like(jitter[0])))
