"""astropy's matching of positions and clipping of noise against code of our own: same answers, which is faster?

    python -m benchmarks.speed.libraries [--rounds 7] [--out results/speed]

Positions: all pairs within 270 arcsec of N sources and of M on the whole sky (``search_around_sky`` against a tree of
unit vectors; separations in arcsec). The answers are equal and both take milliseconds, so the package uses astropy's.

Noise: the clipped standard deviation (3 sigma, 5 passes) of 300-pixel maps of noise and a source
(``sigma_clipped_stats``). The package keeps its own, which is many times faster.

The two alternate, and the ratio of times is taken inside each round. Writes libraries.csv and libraries.md: median time
and ratio, and the largest difference of the answers.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.stats import sigma_clipped_stats
from scipy.spatial import cKDTree

from equirgz.data.noise_level import clipped_std
from equirgz.data.sky.position import match_positions

ROOT = Path(__file__).resolve().parents[2]
RADIUS_ARCSEC = 270.0
SIZES = ((1256, 2158), (20000, 1256), (100000, 1256))


def draw_sky(n: int, seed: int) -> np.ndarray:
    """Return positions (n, 2) in degrees, uniform on the sphere."""
    generator = np.random.default_rng(seed)
    return np.stack([generator.uniform(0, 360, n), np.rad2deg(np.arcsin(generator.uniform(-1, 1, n)))], 1)


def draw_maps(n: int, size: int = 300) -> np.ndarray:
    """Return maps (n, size, size) float32: noise of rms 1.5e-4, and a Gaussian source of peak 0.05 at the centre."""
    axis = np.arange(size) - size // 2
    source = 0.05 * np.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / 50)
    return (np.random.default_rng(0).normal(0, 1.5e-4, (n, size, size)) + source).astype(np.float32)


def match_by_tree(a_deg_N2: np.ndarray, b_deg_M2: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what :func:`match_positions` does, by scipy's tree of unit vectors."""
    a, b = (_unit_vectors(position) for position in (a_deg_N2, b_deg_M2))
    chord = 2 * np.sin(np.deg2rad(RADIUS_ARCSEC / 3600) / 2)
    pairs = cKDTree(a).sparse_distance_matrix(cKDTree(b), chord * (1 + 1e-12), output_type="ndarray")
    separation = 2 * np.rad2deg(np.arcsin(np.clip(pairs["v"] / 2, 0, 1))) * 3600
    order = np.lexsort((separation, pairs["i"]))
    return pairs["i"][order], pairs["j"][order], separation[order]


def _unit_vectors(position_deg_N2: np.ndarray) -> np.ndarray:
    ra, dec = np.deg2rad(position_deg_N2).T
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], -1)


def compare(what: str, ours: Callable, theirs: Callable, difference: Callable, rounds: int) -> dict:
    """Return one row: median times in ms, median ratio and its quartiles, and the largest difference."""
    worst, times = difference(ours(), theirs()), []
    for _ in range(rounds):
        pair = []
        for function in (ours, theirs):
            start = time.perf_counter()
            function()
            pair.append(1e3 * (time.perf_counter() - start))
        times.append(pair)
    times_R2 = np.array(times)
    low, middle, high = np.quantile(times_R2[:, 1] / times_R2[:, 0], (0.25, 0.5, 0.75))
    ours_ms, theirs_ms = np.median(times_R2, 0)
    return {
        "what": what, "own, ms": f"{ours_ms:.3g}", "astropy, ms": f"{theirs_ms:.3g}",
        "astropy / own": f"{middle:.3g} ({low:.3g} to {high:.3g})", "largest difference": f"{worst:.2g}",
    }  # fmt: skip


def pairs_difference(ours: tuple, theirs: tuple) -> float:
    """Return the largest difference of separations, arcsec; infinite where the pairs are not the same."""
    same = all(np.array_equal(x, y) for x, y in zip(ours[:2], theirs[:2], strict=True))
    return float(np.abs(ours[2] - theirs[2]).max(initial=0)) if same else float("inf")


def main() -> None:
    """Measure, and write libraries.csv and libraries.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "speed")
    options = parser.parse_args()
    rows = []
    for n, m in SIZES:
        a, b = draw_sky(n, 0), draw_sky(m, 1)
        rows.append(compare(
            f"pairs of {n} and {m} positions (arcsec)",
            lambda a=a, b=b: match_by_tree(a, b), lambda a=a, b=b: match_positions(a, b, RADIUS_ARCSEC),
            pairs_difference, options.rounds,
        ))  # fmt: skip
    maps = draw_maps(16)
    rows.append(compare(
        "noise of 16 maps of 300 px (relative)",
        lambda: np.array([clipped_std(x) for x in maps]),
        lambda: np.array([sigma_clipped_stats(x, sigma=3.0, maxiters=5)[2] for x in maps]),
        lambda ours, theirs: float(np.abs(theirs / ours - 1).max()), options.rounds,
    ))  # fmt: skip
    table = pd.DataFrame(rows)
    table.to_csv(options.out / "libraries.csv", index=False, lineterminator="\n")
    lines = [table.columns, ["---"] * len(table.columns), *table.to_numpy().tolist()]
    (options.out / "libraries.md").write_text("".join(f"| {' | '.join(map(str, line))} |\n" for line in lines))


if __name__ == "__main__":
    main()
