"""Exact cosine search over tables of any size, in blocks. Legend: N rows, Q queries, F features, k found."""

from __future__ import annotations

import numpy as np

from equirgz.errors import InputError

_CHUNK, _SCORES_AT_ONCE = 1024, 2**25
BLOCK_ROWS = 65_536


def normalise(h_NF: np.ndarray) -> np.ndarray:
    """Return rows of length 1 (float64); a row of zeros stays zero."""
    h_NF = np.asarray(h_NF, np.float64)
    length_N1 = np.linalg.norm(h_NF, axis=1, keepdims=True)
    return np.divide(h_NF, length_N1, out=np.zeros_like(h_NF), where=length_N1 > 0)


def search(
    query_QF: np.ndarray,
    gallery_NF: np.ndarray,
    k: int = 8,
    *,
    leave_out_Q: np.ndarray | None = None,
    weight_N: np.ndarray | None = None,
    allowed_N: np.ndarray | None = None,
    block_rows: int = BLOCK_ROWS,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (index_Qk, score_Qk): the ``k`` most similar gallery rows of each query, best first.

    The score is the cosine ``q . g / (|q| |g|)`` plus ``weight_N`` (:mod:`equirgz.retrieval.weights`); a vector of
    zeros has similarity 0 to all. Exact; ties go to the lower index. Rows are read ``block_rows`` at a time, so that
    the gallery may be a memory map (``numpy.load(path, mmap_mode="r")``) of a million rows. ``leave_out_Q`` is one
    gallery index per query that is never returned (the query itself; -1: none), ``allowed_N`` true for rows that
    may be. With fewer than k rows left, all of them.

    Raises InputError for NaN, an empty gallery, ``k`` < 1, or shapes that disagree.
    """
    query_QF = np.asarray(query_QF)
    gallery_NF = gallery_NF if isinstance(gallery_NF, np.ndarray) else np.asarray(gallery_NF)
    if query_QF.ndim != 2 or gallery_NF.ndim != 2 or query_QF.shape[1] != gallery_NF.shape[1]:
        got = f"{query_QF.shape} and {gallery_NF.shape}"
        raise InputError("search", expected="queries (Q, F) and gallery (N, F)", got=got)
    n = len(gallery_NF)
    weight_N = np.zeros(n) if weight_N is None else _one_each("weights", weight_N, n).astype(np.float64)
    allowed_N = np.ones(n, bool) if allowed_N is None else _one_each("allowed rows", allowed_N, n).astype(bool)
    _check_finite(query_QF)
    _check_finite(weight_N)
    available = int(allowed_N.sum()) - (leave_out_Q is not None)
    if k < 1 or available < 1:
        raise InputError("search", expected="k >= 1 and a gallery", got=f"k={k}, {available} sources to find")
    if block_rows < 1:
        raise InputError("search: rows in a block", expected=">= 1", got=block_rows)
    k = min(k, available)
    unit_QF = normalise(query_QF)
    index_Qk, score_Qk = np.empty((len(unit_QF), k), int), np.empty((len(unit_QF), k))
    chunk = min(_CHUNK, max(1, _SCORES_AT_ONCE // max(1, min(n, block_rows))))
    kept = [(np.empty((0, 0), int), np.empty((0, 0)))] * -(-len(unit_QF) // chunk)
    for first in range(0, n, block_rows):  # outside, so that a memory map is read once
        block = slice(first, min(first + block_rows, n))
        if not allowed_N[block].any():
            continue
        _check_finite(gallery_NF[block])
        unit_FB = normalise(gallery_NF[block]).T
        for number, start in enumerate(range(0, len(unit_QF), chunk)):
            rows = slice(start, start + chunk)
            score_qB = unit_QF[rows] @ unit_FB + weight_N[block]
            score_qB[:, ~allowed_N[block]] = -np.inf
            if leave_out_Q is not None:
                out_q = np.asarray(leave_out_Q)[rows] - first
                inside = np.flatnonzero((out_q >= 0) & (out_q < score_qB.shape[1]))
                score_qB[inside, out_q[inside]] = -np.inf
            kept[number] = _best(*kept[number], score_qB, first, k)
    for number, start in enumerate(range(0, len(unit_QF), chunk)):
        index_Qk[start : start + chunk], score_Qk[start : start + chunk] = kept[number]
    return index_Qk, score_Qk


def _best(index_qj: np.ndarray, score_qj: np.ndarray, score_qB: np.ndarray, first: int, k: int) -> tuple:
    """Return the best ``k`` (fewer, where there are none) of those kept, whose indices are lower, and of a block."""
    order_qB = np.argsort(-score_qB, axis=1, kind="stable")[:, :k] if score_qB.shape[1] <= 8 * k else _top(score_qB, k)
    new_qB = np.take_along_axis(score_qB, order_qB, 1)
    if score_qj.size:
        index_qB = np.concatenate([index_qj, order_qB + first], 1)
        new_qB = np.concatenate([score_qj, new_qB], 1)
        order_qk = np.argsort(-new_qB, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(index_qB, order_qk, 1), np.take_along_axis(new_qB, order_qk, 1)
    return order_qB + first, new_qB


def _top(score_qB: np.ndarray, k: int) -> np.ndarray:
    """Return the places of the ``k`` best of each row, best first, of equal ones the first."""
    limit_q = np.partition(score_qB, -k, axis=1)[:, -k]
    places = np.empty((len(score_qB), k), int)
    for q, (score_B, limit) in enumerate(zip(score_qB, limit_q, strict=True)):
        near = np.flatnonzero(score_B >= limit)
        places[q] = near[np.argsort(-score_B[near], kind="stable")[:k]]
    return places


def _one_each(what: str, values_N: np.ndarray, n: int) -> np.ndarray:
    values_N = np.asarray(values_N)
    if values_N.shape != (n,):
        raise InputError(f"search: {what}", expected=f"({n},), one per row", got=values_N.shape)
    return values_N


def _check_finite(values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise InputError("search", expected="finite features", got="NaN or infinity")
