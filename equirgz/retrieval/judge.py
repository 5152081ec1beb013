"""How well queries find what is relevant to them, with bootstrap intervals over them. Legend: Q queries, N rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from equirgz.errors import InputError, require
from equirgz.metrics.compare.bootstrap import bootstrap_interval
from equirgz.metrics.ranking import ndcg_per_query, recall_per_query, reciprocal_rank_per_query
from equirgz.retrieval.engine import search


def check_not_inside(query_ids: Sequence[str], gallery_ids: Sequence[str]) -> None:
    """Raise InputError where a query is in the table that it is looked up in, or an id is there twice."""
    for what, ids in (("queries", query_ids), ("table", gallery_ids)):
        seen, count = np.unique(np.asarray(ids, str), return_counts=True)
        if (count > 1).any():
            raise InputError(f"{what}: ids", expected="each once", got=f"{str(seen[count > 1][0])!r} twice")
    both = sorted(set(map(str, query_ids)) & set(map(str, gallery_ids)))
    if both:
        mend = "leave the query out of the table, or name it by leave_out_Q"
        raise InputError("queries", expected="none in the table itself", got=repr(both[0]), mend=mend)


def judge(
    relevant_QR: np.ndarray,
    *,
    ks: Sequence[int] = (1, 10),
    n_relevant_Q: np.ndarray | None = None,
    prefix: str = "retrieval",
    n_draws: int = 1000,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return rows of recall@k, nDCG@k and the mean reciprocal rank of rankings, each with its 95 % interval.

    relevant_QR: true where the entry at that rank is relevant. n_relevant_Q: how many are relevant in all, where the
    rankings are cut. Raises InputError for a query without a relevant entry.
    """
    per_query = {}
    relevant_QR = np.asarray(relevant_QR)
    n_Q = relevant_QR.sum(1) if n_relevant_Q is None else np.asarray(n_relevant_Q)
    for k in ks:
        per_query[f"recall_at_{k}"] = recall_per_query(relevant_QR, k, n_Q)
    ideal_QR = np.arange(max(int(n_Q.max()), 1))[None] < n_Q[:, None]
    largest = max(ks)
    per_query[f"ndcg_at_{largest}"] = ndcg_per_query(relevant_QR, largest, ideal_QR)
    per_query["mean_reciprocal_rank"] = reciprocal_rank_per_query(relevant_QR, n_Q)
    return [interval_row(f"{prefix}/{name}", value_Q, n_draws, seed) for name, value_Q in per_query.items()]


def judge_search(
    query_QF: np.ndarray,
    gallery_NF: np.ndarray,
    relevant: tuple[Sequence[Any], Sequence[Any]],
    *,
    ids: tuple[Sequence[str], Sequence[str]],
    ks: Sequence[int] = (1, 10),
    weight_N: np.ndarray | None = None,
    prefix: str = "retrieval",
    n_draws: int = 1000,
) -> list[dict[str, Any]]:
    """Return the rows of :func:`judge` for queries that are looked up in a gallery.

    relevant: what each query and each row of the gallery is of (a source, a class); equal ones are relevant to each
    other. ids: of queries and of rows. Raises InputError where a query is in the gallery itself, and where one has
    nothing relevant there.
    """
    check_not_inside(*ids)
    require(len(query_QF) > 0, "queries", expected="one or more", got="none")
    of_query_Q, of_row_N = (np.asarray(values) for values in relevant)
    index_Qk, _ = search(query_QF, gallery_NF, max(ks), weight_N=weight_N)
    values, count = np.unique(of_row_N, return_counts=True)
    place_Q = np.minimum(np.searchsorted(values, of_query_Q), len(values) - 1)
    n_Q = np.where(values[place_Q] == of_query_Q, count[place_Q], 0)
    without = np.flatnonzero(n_Q == 0)
    if len(without):
        got = f"none for {str(ids[0][without[0]])!r}" + (f" and {len(without) - 1} more" if len(without) > 1 else "")
        raise InputError("queries", expected="a relevant row of the table for each", got=got)
    hit_Qk = of_row_N[index_Qk] == of_query_Q[:, None]
    return judge(hit_Qk, ks=ks, n_relevant_Q=n_Q, prefix=prefix, n_draws=n_draws)


def interval_row(
    metric: str, value_Q: np.ndarray, n_draws: int = 1000, seed: int = 0, lowest: float = 0.0
) -> dict[str, Any]:
    """Return the row of a mean over queries of numbers from ``lowest`` to 1."""
    found = bootstrap_interval(np.mean, value_Q, n_draws=n_draws, lowest=lowest, highest=1.0, seed=seed)
    return {"metric": metric, "value": found.value, "low": found.low, "high": found.high, "unit": "1",
            "direction": "higher", "n": len(value_Q)}  # fmt: skip
