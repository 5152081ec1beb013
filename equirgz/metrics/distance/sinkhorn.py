"""Sinkhorn divergence between two sets of features (arXiv 1810.08278). Legend: N, M sources, F features."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.spatial.distance import cdist

from equirgz.errors import NumericalError, explain, require
from equirgz.metrics.distance.frechet import check_features
from equirgz.metrics.distance.mmd import median_distance


def sinkhorn_divergence(
    first_NF: np.ndarray,
    second_MF: np.ndarray,
    blur: float | None = None,
    *,
    max_steps: int = 2000,
    tolerance: float = 1e-5,
) -> float:
    """Return S = OT(a, b) - OT(a, a)/2 - OT(b, b)/2 with cost |x - y|^2 / 2 and entropy blur^2, equal weights.

    blur is a length in units of the features: to 0, S tends to half the squared Wasserstein-2 distance;
    large, to half the squared distance of the means. None: a tenth of the median distance between sources that
    differ, so that features times c have S times c^2. S >= 0, and 0 for equal sets. Solved by
    symmetric log-domain iterations with a blur that falls from the diameter. NaN: refused.
    Raises: InputError for unequal widths or blur <= 0; NumericalError where the iterations do not settle.
    """
    a_NF, b_MF = check_features(first_NF, second_MF)
    if blur is None:
        blur = median_distance(np.concatenate([a_NF, b_MF])) / 10 or 1.0  # all alike: S is 0 at any blur
    require(blur > 0, "blur", expected="a length > 0", got=blur)
    between = _transport(cdist(a_NF, b_MF, "sqeuclidean") / 2, blur**2, max_steps, tolerance)
    within_a, within_b = (
        _self_transport(cdist(x, x, "sqeuclidean") / 2, blur**2, max_steps, tolerance) for x in (a_NF, b_MF)
    )
    return float(between - within_a / 2 - within_b / 2)


def _soft_minimum(cost_NM: np.ndarray, potential_M: np.ndarray, epsilon: float) -> np.ndarray:
    """Return -epsilon ln mean_m exp((potential_m - cost_nm) / epsilon), without overflow."""
    exponent_NM = (potential_M - cost_NM) / epsilon
    top_N = exponent_NM.max(axis=1)
    return -epsilon * (np.log(np.exp(exponent_NM - top_N[:, None]).mean(axis=1)) + top_N)


def _schedule(cost_NM: np.ndarray, epsilon: float, max_steps: int) -> Iterator[float]:
    """Yield the entropy of each step: from the largest cost down to ``epsilon``."""
    now = max(float(cost_NM.max()), epsilon)
    for _ in range(max_steps):
        yield now
        now = max(epsilon, now * 0.7)


def _transport(cost_NM: np.ndarray, epsilon: float, max_steps: int, tolerance: float) -> float:
    """Return the entropic transport cost: the sum of the mean potentials at their fixed point."""
    f_N, g_M = np.zeros(cost_NM.shape[0]), np.zeros(cost_NM.shape[1])
    scale = max(float(cost_NM.max()), 1e-300)
    change = np.inf
    for e in _schedule(cost_NM, epsilon, max_steps):
        full_f_N, full_g_M = _soft_minimum(cost_NM, g_M, e), _soft_minimum(cost_NM.T, f_N, e)
        change = max(np.abs(full_f_N - f_N).max(), np.abs(full_g_M - g_M).max()) / 2
        if e <= epsilon and change < tolerance * scale:
            return float(full_f_N.mean() + full_g_M.mean())
        f_N, g_M = (f_N + full_f_N) / 2, (g_M + full_g_M) / 2
    raise _not_settled(change / scale, max_steps, tolerance)


def _self_transport(cost_NN: np.ndarray, epsilon: float, max_steps: int, tolerance: float) -> float:
    """Return the transport cost of a set to itself, where both potentials are one."""
    f_N = np.zeros(len(cost_NN))
    scale = max(float(cost_NN.max()), 1e-300)
    change = np.inf
    for e in _schedule(cost_NN, epsilon, max_steps):
        full_f_N = _soft_minimum(cost_NN, f_N, e)
        change = np.abs(full_f_N - f_N).max() / 2
        if e <= epsilon and change < tolerance * scale:
            return float(2 * full_f_N.mean())
        f_N = (f_N + full_f_N) / 2
    raise _not_settled(change / scale, max_steps, tolerance)


def _not_settled(change: float, max_steps: int, tolerance: float) -> NumericalError:
    return NumericalError(
        explain(
            "Sinkhorn iterations",
            expected=f"a change below {tolerance:g} in {max_steps} steps",
            got=f"{change:.1e}",
            mend="use a larger blur",
        )
    )
