"""Smooth calibration error: no bins, a kernel whose width is the error that it finds (arXiv 2309.12236).

With confidences f_i, residuals r_i = [right] - f_i, and K_s the Gaussian of standard deviation s reflected at the ends
of [0, 1],

    S(s) = integral_0^1 | mean_i r_i K_s(t, f_i) | dt,     smooth ECE = the one s with S(s) = s.

S falls with s (smoothing contracts the integral), so that there is one; it moves continuously with every confidence,
which binned errors do not. Sources of one confidence c of which a share a is right give |a - c|, whatever s.

Computed on cells of width 1/1024: a residual is shared between the two cells next to its confidence, and the kernel is
the random walk of variance s^2 over cells with reflecting ends, diagonal in cosines. That kernel is positive too and
contracts, so all of the above holds exactly on the cells; against the integral the error is below 1e-4 (tested).
Legend: N sources, K classes, M cells, D draws. NaN is refused everywhere (InputError).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.fft import dct, idct
from scipy.sparse import csr_array

from equirgz.errors import require
from equirgz.metrics.base import Terms, metric
from equirgz.metrics.calibration.binning import top_label
from equirgz.metrics.calibration.ece import PerfectECE
from equirgz.metrics.check import check_predictions, check_probability
from equirgz.seeding import derive_seed

N_CELLS = 1024
_ACCURACY = 1e-13  # of the width at which S(s) = s; S falls, so that |S(s) - s| bounds the distance from it
_ACCURACY_OF_DRAWS = 1e-5  # of each of the draws of which a perfect model's mean and quantiles are taken
_DRAWN_AT_ONCE = 2_000_000  # Bernoulli draws held in memory together


class CountedTerms(Terms):
    """Terms of which a source has few that are not 0: a draw is how often it counts each source."""

    def redraw(self, terms_NJ: csr_array, index_DN: np.ndarray) -> np.ndarray:
        """Return the metric of each of D draws of sources."""
        n = terms_NJ.shape[0]
        place_DN = np.arange(len(index_DN))[:, None] * n + index_DN
        count_DN = np.bincount(place_DN.ravel(), minlength=len(index_DN) * n).reshape(len(index_DN), n)
        return self.combine(count_DN @ terms_NJ / index_DN.shape[1])


@cache
def _eigenvalues() -> np.ndarray:
    """Return minus the eigenvalues of the walk's generator on the cells, in units of 1 / s^2."""
    return N_CELLS**2 * (1 - np.cos(np.pi * np.arange(N_CELLS) / N_CELLS))


def _share(confidence_N: np.ndarray) -> csr_array:
    """Return the weight (N, M) of each source in the two cells next to its confidence; rows sum to 1."""
    place_N = np.clip(confidence_N * N_CELLS - 0.5, 0, N_CELLS - 1)
    left_N = np.minimum(place_N.astype(np.int64), N_CELLS - 2)
    weight_N2 = np.stack([1 - (place_N - left_N), place_N - left_N], axis=1)
    n = len(confidence_N)
    columns = np.stack([left_N, left_N + 1], axis=1).ravel()
    return csr_array((weight_N2.ravel(), columns, np.arange(0, 2 * n + 1, 2)), shape=(n, N_CELLS))


def residual_terms_NM(p_NK: np.ndarray, target_N: np.ndarray) -> csr_array:
    """Return the residual of each source in its cells (sparse); the error is a function of their means."""
    confidence_N, correct_N = top_label(p_NK, target_N)
    return _share(confidence_N).multiply((correct_N - confidence_N)[:, None]).tocsr()


def solve_width(mean_M: np.ndarray, accuracy: float = _ACCURACY) -> np.ndarray:
    """Return the width s with S(s) = s for mean residuals (..., M) in cells; by false position, kept bracketed."""
    mean_M = np.asarray(mean_M)
    mean_DM = mean_M.reshape(-1, N_CELLS)
    cosines_DM = dct(mean_DM, axis=1)

    def excess(width_D: np.ndarray) -> np.ndarray:
        damped_DM = cosines_DM * np.exp(-(width_D[:, None] ** 2) * _eigenvalues())
        return np.abs(idct(damped_DM, axis=1)).sum(axis=1) - width_D

    low_D, high_D = np.zeros(len(mean_DM)), np.abs(mean_DM).sum(axis=1)
    above_D, below_D = high_D.copy(), excess(high_D)  # S(s) - s at both ends: >= 0 and <= 0
    width_D = high_D.copy()
    for _ in range(60):
        gap_D = above_D - below_D
        width_D = np.where(gap_D > 0, low_D + (high_D - low_D) * above_D / np.where(gap_D > 0, gap_D, 1.0), low_D)
        found_D = excess(width_D)
        if (np.abs(found_D) < accuracy).all():
            break
        over_D = found_D > 0
        # the end that stays counts half, or the other would never move (Illinois)
        below_D, above_D = np.where(over_D, below_D / 2, found_D), np.where(over_D, found_D, above_D / 2)
        low_D, high_D = np.where(over_D, width_D, low_D), np.where(over_D, high_D, width_D)
    return width_D.reshape(mean_M.shape[:-1])


@metric(
    "calibration/ece_smooth",
    unit="1",
    direction="lower",
    lowest=0,
    highest=1,
    terms=CountedTerms(residual_terms_NM, solve_width),
)
def smooth_calibration_error(probability_NK: np.ndarray, target_N: np.ndarray) -> float:
    """Return the smooth ECE of the most probable class, in [0, 1] (formula above).

    Args: probability_NK: (N, K) probabilities. target_N: (N,) classes. At small N it is biased upwards as every
    calibration error is; :func:`perfect_smooth_ece` says by how much. Raises: InputError for unusable input.

    >>> round(smooth_calibration_error([[0.9, 0.1], [0.9, 0.1]], [0, 1]), 3)  # 50 % right at 0.9
    0.4
    """
    terms_NM = residual_terms_NM(*check_predictions(probability_NK, target_N))
    return float(solve_width(terms_NM.mean(axis=0)))


def perfect_smooth_ece(probability_NK: np.ndarray, n_draws: int = 100, seed: int = 0) -> PerfectECE:
    """Return what smooth ECE a perfectly calibrated model would show at this N and these confidences.

    As :func:`equirgz.metrics.calibration.ece.perfect_ece`: each source is redrawn right with the probability that its
    confidence states, seeded. Raises: InputError for unusable input or n_draws < 1.
    """
    require(n_draws >= 1, "n_draws", expected=">= 1", got=n_draws)
    confidence_N = np.sort(check_probability(probability_NK).max(axis=1))
    share_NM = _share(confidence_N)
    generator = np.random.default_rng(derive_seed(seed, "perfect_smooth_ece"))
    at_once = max(1, _DRAWN_AT_ONCE // len(confidence_N))
    found = []
    for first in range(0, n_draws, at_once):
        size = min(at_once, n_draws - first)
        right_DN = generator.random((size, len(confidence_N))) < confidence_N
        mean_DM = (right_DN - confidence_N) @ share_NM / len(confidence_N)
        found.append(solve_width(mean_DM, _ACCURACY_OF_DRAWS))
    width_D = np.concatenate(found)
    low, high = np.quantile(width_D, [0.025, 0.975])
    return PerfectECE(float(width_D.mean()), float(low), float(high))


@metric("calibration/ece_smooth_perfect", unit="1", direction="none", lowest=0, highest=1)
def expected_smooth_ece_of_perfect_model(probability_NK: np.ndarray, target_N: np.ndarray) -> float:
    """Return the mean of `perfect_smooth_ece`; the labels are not used."""
    return perfect_smooth_ece(probability_NK).mean
