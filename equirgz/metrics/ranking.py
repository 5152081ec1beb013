"""How good a ranking is. Legend: N queries, R ranked neighbours."""

from __future__ import annotations

import numpy as np

from equirgz.errors import InputError, require


def precision_at_k(relevant_NR: np.ndarray, k: int) -> float:
    """Return the mean share of relevant entries among the first ``k`` of each query's ranking, in [0, 1].

    Args: relevant_NR: (N, R) true or false, best first, the query itself left out.
    Raises: InputError for k outside 1..R or values that are not true or false.
    """
    relevant_NR = _check(relevant_NR)
    if not 1 <= k <= relevant_NR.shape[1]:
        raise InputError("k", expected=f"1 to {relevant_NR.shape[1]}", got=k)
    return float(relevant_NR[:, :k].mean())


def mean_average_precision(relevant_NR: np.ndarray) -> float:
    """Return the mean over queries of the precision at the rank of each relevant entry, in [0, 1].

    Queries without a relevant entry do not count. Raises: InputError where none has one.
    """
    relevant_NR = _check(relevant_NR)
    has_N = relevant_NR.any(axis=1)
    require(has_N.any(), "relevant_NR", expected="a query with a relevant entry", got="none")
    chosen = relevant_NR[has_N].astype(np.float64)
    precision = np.cumsum(chosen, axis=1) / np.arange(1, chosen.shape[1] + 1)
    return float(((precision * chosen).sum(axis=1) / chosen.sum(axis=1)).mean())


def _check(relevant_NR: np.ndarray) -> np.ndarray:
    relevant_NR = np.asarray(relevant_NR)
    if relevant_NR.ndim != 2 or 0 in relevant_NR.shape or not np.isin(relevant_NR, (0, 1)).all():
        raise InputError("relevant_NR", expected="(N, R) true or false", got=f"{relevant_NR.dtype} {relevant_NR.shape}")
    return relevant_NR.astype(bool)


def recall_per_query(relevant_NR: np.ndarray, k: int, n_relevant_N: np.ndarray | None = None) -> np.ndarray:
    """Return, per query, the share of its relevant entries that are among the first ``k``.

    n_relevant_N: how many there are in all, where the ranking was cut; default: those in the ranking.
    Raises: InputError for k below 1 and for a query without a relevant entry, whose recall is not defined.
    """
    relevant_NR, n_N = _with_relevant(relevant_NR, n_relevant_N)
    require(k >= 1, "k", expected=">= 1", got=k)
    return relevant_NR[:, :k].sum(1) / n_N


def reciprocal_rank_per_query(relevant_NR: np.ndarray, n_relevant_N: np.ndarray | None = None) -> np.ndarray:
    """Return, per query, one over the rank of its first relevant entry; 0 where a cut ranking holds none."""
    relevant_NR, _ = _with_relevant(relevant_NR, n_relevant_N)
    first_N = relevant_NR.argmax(1)
    return np.where(relevant_NR.any(1), 1.0 / (1 + first_N), 0.0)


def ndcg_per_query(gain_NR: np.ndarray, k: int, ideal_NR: np.ndarray | None = None) -> np.ndarray:
    """Return, per query, the discounted cumulative gain sum_(r <= k) gain_r / log2(1 + r) over that of the best order.

    gain_NR: (N, R) gains >= 0, best ranked first. ideal_NR: the gains of all entries in any order, where the ranking
    was cut; default: those in the ranking. As scikit-learn's ``ndcg_score`` without ties.
    Raises: InputError for negative or missing gains and for a query without any gain.
    """
    gain_NR = np.asarray(gain_NR, np.float64)
    ideal_NR = gain_NR if ideal_NR is None else np.asarray(ideal_NR, np.float64)
    for gain in (gain_NR, ideal_NR):
        if gain.ndim != 2 or 0 in gain.shape or not (np.isfinite(gain) & (gain >= 0)).all():
            raise InputError("gains", expected="(N, R) numbers >= 0", got=f"{gain.dtype} {gain.shape}")
    require(k >= 1, "k", expected=">= 1", got=k)
    best_N = _discounted(-np.sort(-ideal_NR, axis=1), k)
    require((best_N > 0).all(), "gains", expected="a relevant entry for every query", got="a query without one")
    return _discounted(gain_NR, k) / best_N


def _discounted(gain_NR: np.ndarray, k: int) -> np.ndarray:
    gain_Nk = gain_NR[:, :k]
    return (gain_Nk / np.log2(2 + np.arange(gain_Nk.shape[1]))).sum(1)


def _with_relevant(relevant_NR: np.ndarray, n_relevant_N: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    relevant_NR = _check(relevant_NR)
    n_N = relevant_NR.sum(1) if n_relevant_N is None else np.asarray(n_relevant_N)
    if n_N.shape != (len(relevant_NR),) or (n_N < relevant_NR.sum(1)).any():
        raise InputError("relevant entries", expected="a count per query, at least those found", got=n_N.shape)
    require((n_N > 0).all(), "queries", expected="a relevant entry for every query", got="a query without one")
    return relevant_NR, n_N
