"""Exact cosine search over an embedding, precision at k, and the panel of a query's neighbours.

Legend: N gallery sources, Q queries, F features, k neighbours, H W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from equirgz.errors import InputError
from equirgz.evaluate.embedding_table import EmbeddingTable
from equirgz.evaluate.probe import normalise
from equirgz.metrics.ranking import precision_at_k

_CHUNK = 1024


def search(
    query_QF: np.ndarray, gallery_NF: np.ndarray, k: int = 8, *, leave_out_Q: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return (index_Qk, similarity_Qk): the ``k`` most similar gallery sources of each query, best first.

    Similarity is the cosine ``q . g / (|q| |g|)``; a vector of zeros has similarity 0 to all. Exact;
    ties go to the lower index. ``leave_out_Q`` is one gallery index per query that is never
    returned (the query itself; -1: none). With fewer than k sources left, all of them.

    Raises InputError for NaN, an empty gallery, ``k`` < 1, or shapes that disagree.
    """
    query_QF, gallery_NF = np.asarray(query_QF), np.asarray(gallery_NF)
    if query_QF.ndim != 2 or gallery_NF.ndim != 2 or query_QF.shape[1] != gallery_NF.shape[1]:
        got = f"{query_QF.shape} and {gallery_NF.shape}"
        raise InputError("search", expected="queries (Q, F) and gallery (N, F)", got=got)
    if not (np.isfinite(query_QF).all() and np.isfinite(gallery_NF).all()):
        raise InputError("search", expected="finite features", got="NaN or infinity")
    available = len(gallery_NF) - (leave_out_Q is not None)
    if k < 1 or available < 1:
        raise InputError("search", expected="k >= 1 and a gallery", got=f"k={k}, {available} sources to find")
    k = min(k, available)
    unit_QF, unit_FN = normalise(query_QF), normalise(gallery_NF).T
    index_Qk, similarity_Qk = np.empty((len(unit_QF), k), int), np.empty((len(unit_QF), k))
    for start in range(0, len(unit_QF), _CHUNK):
        rows = slice(start, start + _CHUNK)
        similarity_qN = unit_QF[rows] @ unit_FN
        if leave_out_Q is not None:
            out_q = np.asarray(leave_out_Q)[rows]
            similarity_qN[np.flatnonzero(out_q >= 0), out_q[out_q >= 0]] = -np.inf
        order_qk = np.argsort(-similarity_qN, axis=1, kind="stable")[:, :k]
        index_Qk[rows], similarity_Qk[rows] = order_qk, np.take_along_axis(similarity_qN, order_qk, 1)
    return index_Qk, similarity_Qk


def find_similar(table: EmbeddingTable, source_id: str, k: int = 8) -> pd.DataFrame:
    """Return the ``k`` sources of ``table`` most like ``source_id``: rank, source_id, similarity, label, extras.

    The source itself is left out. Raises InputError for an unknown source, naming near ones.
    """
    query = table.index_of(source_id)
    index_1k, similarity_1k = search(table.feature_NF[[query]], table.feature_NF, k, leave_out_Q=np.array([query]))
    found = pd.DataFrame(
        {
            "rank": np.arange(1, len(index_1k[0]) + 1),
            "source_id": table.source_id_N[index_1k[0]],
            "similarity": similarity_1k[0],
            "label": table.label_N[index_1k[0]],
        }
    )
    return pd.concat([found, table.extras.iloc[index_1k[0]].reset_index(drop=True)], axis=1)


def retrieval_rows(
    feature_NF: np.ndarray,
    label_N: np.ndarray,
    ks: Sequence[int] = (1, 5, 10),
    *,
    gallery_MF: np.ndarray | None = None,
    gallery_label_M: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """Return one row per k: the mean share of a query's k nearest sources that have its label.

    Queries are looked up in the gallery, or, without one, in themselves with the query left out.
    Sources with label -1 are neither queries nor gallery. Beside each row stands what a random
    order would give (``retrieval/precision_at_k_chance``).

    Raises InputError where k exceeds the gallery, or no source has a label.
    """
    label_N = np.asarray(label_N)
    query_NF, label_N = np.asarray(feature_NF)[label_N >= 0], label_N[label_N >= 0]
    own = gallery_MF is None
    if own:
        gallery_MF, gallery_label_M = query_NF, label_N
    gallery_label_M = np.asarray(gallery_label_M)
    known_M = gallery_label_M >= 0
    gallery_MF, gallery_label_M = np.asarray(gallery_MF)[known_M], gallery_label_M[known_M]
    size = len(gallery_label_M) - own
    if len(label_N) == 0 or max(ks) > size or min(ks) < 1:
        raise InputError("retrieval_rows: k", expected=f"from 1 to {size} labelled sources", got=tuple(ks))
    index_Nk, _ = search(query_NF, gallery_MF, max(ks), leave_out_Q=np.arange(len(label_N)) if own else None)
    hit_Nk = gallery_label_M[index_Nk] == label_N[:, None]
    same_N = (gallery_label_M[None, :] == label_N[:, None]).sum(1) - own
    common = {"unit": "1", "direction": "higher", "n": len(label_N)}
    rows = []
    for k in ks:
        rows.append({"metric": f"retrieval/precision_at_{k}", "value": precision_at_k(hit_Nk, k), **common})
        chance = {"metric": f"retrieval/precision_at_{k}_chance", "value": float((same_N / size).mean()), **common}
        rows.append({**chance, "direction": "none"})
    return rows
