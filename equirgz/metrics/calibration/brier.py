"""The Brier score and its parts. Legend: N sources, K classes, M bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equirgz.metrics.base import Terms, alone, metric
from equirgz.metrics.calibration.binning import Scheme, make_bins
from equirgz.metrics.check import check_predictions


def squared_error_N1(p_NK: np.ndarray, target_N: np.ndarray) -> np.ndarray:
    """Return sum_k (p_k - [target = k])^2 of each source."""
    return ((p_NK - np.eye(p_NK.shape[1])[target_N]) ** 2).sum(axis=1, keepdims=True)


@metric("calibration/brier", unit="1", direction="lower", lowest=0, highest=2, terms=Terms(squared_error_N1, alone))
def brier_score(probability_NK: np.ndarray, target_N: np.ndarray) -> float:
    """Return mean_i sum_k (p_ik - [target_i = k])^2, in [0, 2]: Brier's own form, all classes summed.

    For two classes this is twice the score of the positive class alone.
    NaN: refused. Raises: InputError for unusable input. Source: Brier (1950).

    >>> round(brier_score([[0.8, 0.2]], [0]), 6)
    0.08
    """
    p_NK, target_N = check_predictions(probability_NK, target_N)
    return float(squared_error_N1(p_NK, target_N).mean())


@dataclass(frozen=True)
class BrierParts:
    """Parts of the Brier score: score = reliability - resolution + uncertainty + within_bins.

    reliability: how far the stated probabilities are from what happens (0 is best). resolution: how
    much the bins differ in what happens (large is best). uncertainty: the score of always stating the
    class shares. within_bins: what is left because probabilities inside a bin differ; 0 without bins.
    """

    reliability: float
    resolution: float
    uncertainty: float
    within_bins: float

    @property
    def score(self) -> float:
        return self.reliability - self.resolution + self.uncertainty + self.within_bins


def decompose_brier(
    probability_NK: np.ndarray, target_N: np.ndarray, n_bins: int | None = None, scheme: Scheme = "width"
) -> BrierParts:
    """Return Murphy's parts of the Brier score, summed over classes.

    Per class, with o = [target = k], S_m the sources of a bin, p_m and o_m their means, o_0 the share:

        reliability = sum_m |S_m|/N (p_m - o_m)^2,  resolution = sum_m |S_m|/N (o_m - o_0)^2,
        uncertainty = o_0 (1 - o_0),  within_bins = the rest, var_m(p) - 2 cov_m(p, o) in the bins.

    Args: n_bins: None puts equal probabilities together and nothing else, so that within_bins is 0,
    but at small N with all-different probabilities reliability and resolution then mean little.
    NaN: refused. Raises: InputError for unusable input. Source: Murphy (1973); Stephenson et al. (2008).
    """
    p_NK, target_N = check_predictions(probability_NK, target_N)
    totals = np.zeros(4)
    for k, p_N in enumerate(p_NK.T):
        o_N = (target_N == k).astype(np.float64)
        bin_N = np.unique(p_N, return_inverse=True)[1] if n_bins is None else make_bins(p_N, n_bins, scheme)
        n_M = np.bincount(bin_N)
        used = n_M > 0
        weight_M = n_M[used] / len(p_N)
        p_M = np.bincount(bin_N, weights=p_N)[used] / n_M[used]
        o_M = np.bincount(bin_N, weights=o_N)[used] / n_M[used]
        reliability, resolution = weight_M @ (p_M - o_M) ** 2, weight_M @ (o_M - o_N.mean()) ** 2
        uncertainty = o_N.mean() * (1 - o_N.mean())
        rest = ((p_N - o_N) ** 2).mean() - (reliability - resolution + uncertainty)
        totals += (reliability, resolution, uncertainty, rest)
    return BrierParts(*map(float, totals))
