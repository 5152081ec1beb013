"""Sources like a given one, and precision at k, by the one search of :mod:`equirgz.retrieval`.

Legend: N gallery sources, F features, k neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from equirgz.errors import InputError
from equirgz.evaluate.embedding_table import EmbeddingTable
from equirgz.metrics.ranking import precision_at_k
from equirgz.retrieval.engine import search
from equirgz.retrieval.weights import Weights


def find_similar(
    table: EmbeddingTable, source_id: str, k: int = 8, weights: Weights | None = None, keywords: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the ``k`` sources of ``table`` most like ``source_id``: rank, source_id, similarity, label, extras.

    The source itself is left out. ``weights`` of the table's columns year, citations and keywords are added to the
    similarity. Raises InputError for an unknown source, naming near ones, and for a weight whose column is not there.
    """
    query = table.index_of(source_id)
    weight_N = None if weights is None else weights.add(table.extras, keywords=keywords)
    index_1k, similarity_1k = search(
        table.feature_NF[[query]], table.feature_NF, k, leave_out_Q=np.array([query]), weight_N=weight_N
    )
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
