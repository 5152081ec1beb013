"""Scores of texts by words (BM25) and by topics (TF-IDF, then latent semantic analysis).

Legend: N papers, Q queries, T words, F topics.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from equirgz.errors import InputError, require

WORD = r"(?u)\b[a-z0-9][a-z0-9+\-]*[a-z0-9]\b"
K1, B = 1.5, 0.75
TOPICS = 200


class WordModel:
    """Counts of the words of N texts, and what follows from them.

    BM25: sum over the words w of the query of ``idf(w) c (k1 + 1) / (c + k1 (1 - b + b L / mean L))``, with c how often
    w stands in the text of L words, idf = ln(1 + (N - n + 1/2) / (n + 1/2)), n the texts that have it (Robertson &
    Zaragoza 2009). LSA: the leading right singular vectors of the TF-IDF rows (Deerwester et al. 1990).
    """

    def __init__(self, count_NT: sparse.csr_matrix, words: Sequence[str], topics: int = TOPICS) -> None:
        self.count_NT = count_NT.tocsr().astype(np.float64)
        self.words = list(words)
        n, width = self.count_NT.shape
        require(n > 0 and width > 0, "texts", expected="some with words", got=f"{n} texts, {width} words")
        present_T = np.asarray((self.count_NT > 0).sum(0)).ravel()
        self.idf_T = np.log1p((n - present_T + 0.5) / (present_T + 0.5))
        length_N = np.asarray(self.count_NT.sum(1)).ravel()
        share_N = 1 - B + B * length_N / max(length_N.mean(), 1e-12)
        entries = self.count_NT.tocoo()
        weight = self.idf_T[entries.col] * entries.data * (K1 + 1) / (entries.data + K1 * share_N[entries.row])
        self._bm25_NT = sparse.csr_matrix((weight, (entries.row, entries.col)), shape=(n, width))
        self.n_topics = min(topics, n - 1, width - 1)
        self._topic_FT: np.ndarray | None = None

    @classmethod
    def of_texts(cls, texts: Sequence[str], topics: int = TOPICS, min_texts: int = 1) -> WordModel:
        """Count the words of ``texts`` that stand in at least ``min_texts``, English stop words left out."""
        from sklearn.feature_extraction.text import CountVectorizer

        counter = CountVectorizer(token_pattern=WORD, stop_words="english", min_df=min_texts)
        try:
            count_NT = counter.fit_transform(texts)
        except ValueError as error:  # nothing but stop words
            raise InputError("texts", expected="words that are not stop words", got="none") from error
        return cls(count_NT, counter.get_feature_names_out(), topics)

    def count(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Return count_QT; words that the corpus does not have are left out."""
        from sklearn.feature_extraction.text import CountVectorizer

        return CountVectorizer(token_pattern=WORD, vocabulary=self.words).transform(texts).tocsr().astype(np.float64)

    def bm25(self, count_QT: sparse.csr_matrix) -> np.ndarray:
        """Return score_QN of counts of the queries' words."""
        return np.asarray((count_QT @ self._bm25_NT.T).todense())

    def tfidf(self, count_NT: sparse.csr_matrix) -> sparse.csr_matrix:
        """Return rows of length 1 of (1 + ln c) idf; zero where no word is known."""
        from sklearn.preprocessing import normalize

        damped = count_NT.tocsr().copy()
        damped.data = 1 + np.log(damped.data)
        return normalize(damped.multiply(self.idf_T).tocsr())

    @property
    def topic_FT(self) -> np.ndarray:
        """The topics, made once: rows of length 1, the strongest first."""
        if self._topic_FT is None:
            require(self.n_topics >= 1, "topics", expected="two texts and two words at least", got="fewer")
            from sklearn.decomposition import TruncatedSVD

            self._topic_FT = TruncatedSVD(self.n_topics, random_state=0).fit(self.tfidf(self.count_NT)).components_
        return self._topic_FT

    def topics(self, count_NT: sparse.csr_matrix | None = None) -> np.ndarray:
        """Return h_NF, the projections of texts (default: of the corpus) onto the topics."""
        return np.asarray(self.tfidf(self.count_NT if count_NT is None else count_NT) @ self.topic_FT.T)
