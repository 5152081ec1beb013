"""Whether samples of posteriors cover the truth as often as they say.

Legend: S samples, N simulations, D dimensions (pixels), L levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import kstwo

from equirgz.errors import InputError, require


@dataclass(frozen=True)
class Tarp:
    """Expected coverage ``coverage_L`` at the credibilities ``level_L``, and how far it may be from them.

    ``deviation`` is the largest distance from the diagonal, ``band`` what it stays below with a probability of 95 %
    where posteriors are right: the Kolmogorov-Smirnov distance of N uniform numbers. ``passes``: within the band.
    """

    level_L: np.ndarray
    coverage_L: np.ndarray
    deviation: float
    band: float
    n: int

    @property
    def passes(self) -> bool:
        """Whether the deviation is within the band."""
        return self.deviation <= self.band


def compute_tarp(
    sample_SND: np.ndarray, truth_ND: np.ndarray, *, references: int = 1, seed: int = 0, n_levels: int = 50
) -> Tarp:
    """Return the test of accuracy with random points (arXiv 2302.03026) of posteriors of N simulations.

    Of each simulation a reference is drawn uniformly from the box of all truths, and the share f of the samples is
    counted that lie nearer to it (Euclidean distance) than the truth. Right posteriors have uniform f, and the
    coverage at credibility a is the share of simulations with ``f < a``; narrow ones are farther from the diagonal
    than ``band``. With several ``references`` f is that of each in turn, and the mean coverage over them is returned:
    smoother, while the band stays that of N.

    Ties of f, k of S samples, are spread evenly between k / (S + 1) and (k + 1) / (S + 1). NaN is refused.
    Raises InputError for shapes that disagree, fewer than two simulations or ten samples.
    """
    sample_SND, truth_ND = _check(sample_SND, truth_ND)
    require(references >= 1, "references", expected="at least 1", got=references)
    n_samples, n, _ = sample_SND.shape
    rng, level_L = np.random.default_rng(seed), np.linspace(0, 1, n_levels + 1)
    low_D, high_D = truth_ND.min(0), truth_ND.max(0)
    curves = []
    for _ in range(references):
        point_ND = rng.uniform(low_D, high_D, truth_ND.shape)
        truth_N = np.linalg.norm(truth_ND - point_ND, axis=1)
        nearer_N = (np.linalg.norm(sample_SND - point_ND, axis=2) < truth_N).sum(0)
        f_N = np.sort((nearer_N + rng.uniform(size=n)) / (n_samples + 1))
        curves.append(np.searchsorted(f_N, level_L) / n)
    coverage_L = np.mean(curves, 0)
    deviation = float(np.abs(coverage_L - level_L).max())
    return Tarp(level_L, coverage_L, deviation, float(kstwo.ppf(0.95, n)), n)


def compute_coverage(sample_SND: np.ndarray, truth_ND: np.ndarray, level_L: np.ndarray) -> np.ndarray:
    """Return coverage_L, the share of all N D true values inside the central interval of probability ``level``.

    Right posteriors have coverage = level on average, whatever D; values of one simulation depend on each other, so
    that its scatter is that of N. Raises InputError as :func:`compute_tarp`, and for levels outside (0, 1).
    """
    sample_SND, truth_ND = _check(sample_SND, truth_ND)
    level_L = np.atleast_1d(np.asarray(level_L, float))
    inside = ((level_L > 0) & (level_L < 1)).all()
    require(bool(inside), "levels", expected="above 0 and below 1", got=level_L.tolist())
    n_samples = len(sample_SND)
    rank_ND = ((sample_SND < truth_ND).sum(0) + 0.5) / (n_samples + 1)
    return np.array([(np.abs(rank_ND - 0.5) < level / 2).mean() for level in level_L])


def _check(sample_SND: np.ndarray, truth_ND: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sample_SND, truth_ND = np.asarray(sample_SND, np.float64), np.asarray(truth_ND, np.float64)
    if sample_SND.ndim != 3 or truth_ND.ndim != 2 or sample_SND.shape[1:] != truth_ND.shape:
        got = f"{sample_SND.shape} and {truth_ND.shape}"
        raise InputError("coverage", expected="samples (S, N, D) and truths (N, D)", got=got)
    if len(sample_SND) < 10 or len(truth_ND) < 2:
        got = f"{len(sample_SND)} samples of {len(truth_ND)} simulations"
        raise InputError("coverage", expected="at least 10 samples of at least 2 simulations", got=got)
    finite = np.isfinite(sample_SND).all() and np.isfinite(truth_ND).all()
    require(bool(finite), "coverage", expected="finite values", got="NaN or infinity")
    return sample_SND, truth_ND
