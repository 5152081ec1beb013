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
