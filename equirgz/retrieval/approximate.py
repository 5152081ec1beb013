"""Approximate search for tables beyond what exact search is quick for; the package faiss-cpu, an extra.

Legend: N rows, Q queries, F features, k found.
"""

from __future__ import annotations

import numpy as np

from equirgz.errors import InputError, require_package
from equirgz.retrieval.engine import BLOCK_ROWS, normalise, search


class ApproximateSearch:
    """A hierarchical small-world graph (arXiv 1603.09320) over the rows of a table, built once, asked often.

    ``links`` neighbours per row and level, ``breadth`` candidates while building and searching: more finds more.
    """

    def __init__(self, gallery_NF: np.ndarray, *, links: int = 32, breadth: int = 128) -> None:
        faiss = require_package("faiss", "approximate search (exact search needs none)")
        if gallery_NF.ndim != 2 or not len(gallery_NF):
            raise InputError("approximate search", expected="a gallery (N, F)", got=gallery_NF.shape)
        self.gallery_NF = gallery_NF
        self._graph = faiss.IndexHNSWFlat(gallery_NF.shape[1], links, faiss.METRIC_INNER_PRODUCT)
        self._graph.hnsw.efConstruction = self._graph.hnsw.efSearch = breadth
        for start in range(0, len(gallery_NF), BLOCK_ROWS):
            self._graph.add(normalise(gallery_NF[start : start + BLOCK_ROWS]).astype(np.float32))

    def search(self, query_QF: np.ndarray, k: int = 8) -> tuple[np.ndarray, np.ndarray]:
        """Return (index_Qk, similarity_Qk), best first, as the exact search does, but perhaps not the very best."""
        similarity_Qk, index_Qk = self._graph.search(normalise(query_QF).astype(np.float32), k)
        return index_Qk, similarity_Qk

    def recall(self, query_QF: np.ndarray, k: int = 8) -> float:
        """Return the share of the exact ``k`` nearest rows that the graph finds, for some queries of yours."""
        found_Qk, exact_Qk = self.search(query_QF, k)[0], search(query_QF, self.gallery_NF, k)[0]
        return float(np.mean([len(set(a) & set(b)) / k for a, b in zip(found_Qk, exact_Qk, strict=True)]))
