"""Phrases that mean or spell alike, merged into terms. Legend: P phrases, U unseen phrases, F features, N subjects."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from equirgz.errors import DataError, InputError, require
from equirgz.paths import as_path


class Likeness(Protocol):
    """What makes unit vectors of phrases; their inner product is the similarity, a phrase it does not know is zero."""

    name: str

    def vectors(self, phrases: Sequence[str]) -> np.ndarray:
        """Return (P, F), rows of length 1 or 0."""
        ...


class CharacterLikeness:
    """Cosine of TF-IDF of runs of 2 to 4 characters within words: merges what is spelt alike, not what means alike."""

    name = "characters"

    def __init__(self, phrases: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._model = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)).fit(phrases)

    def vectors(self, phrases: Sequence[str]) -> np.ndarray:
        """Return (P, F)."""
        return self._model.transform(phrases).toarray()


class WordLikeness:
    """Cosine of the mean of word vectors, from a text file of yours (word2vec's or GloVe's: a word and its numbers)."""

    name = "word vectors"

    def __init__(self, path: Path | str, vocabulary: set[str] | None = None) -> None:
        path = as_path(path)
        self._vector_of: dict[str, np.ndarray] = {}
        opened = gzip.open if path.suffix == ".gz" else open
        try:
            with opened(path, "rt", encoding="utf-8") as lines:
                for number, line in enumerate(lines):
                    word, *numbers = line.rstrip().split(" ")
                    if number == 0 and len(numbers) == 1:
                        continue  # word2vec's header: how many words, how many numbers each
                    if vocabulary is None or word in vocabulary:
                        self._vector_of[word] = np.array(numbers, np.float64)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: no word vectors (a word and its numbers per line): {error}") from error
        widths = {len(vector) for vector in self._vector_of.values()}
        if len(widths) != 1:
            got = f"{sorted(widths)} numbers" if widths else "none of the words asked for"
            raise DataError(f"{path}: word vectors", expected="as many numbers for every word", got=got)
        self._width = widths.pop()

    def vectors(self, phrases: Sequence[str]) -> np.ndarray:
        """Return (P, F); zero where no word of a phrase is in the file."""
        found = np.zeros((len(phrases), self._width))
        for i, phrase in enumerate(phrases):
            known = [self._vector_of[word] for word in phrase.split() if word in self._vector_of]
            if known:
                found[i] = np.mean(known, axis=0)
        length = np.linalg.norm(found, axis=1, keepdims=True)
        return np.divide(found, length, out=np.zeros_like(found), where=length > 0)


class Terms:
    """Phrases merged into the ``most`` commonest terms: average linkage down to a similarity of ``similarity``.

    A term is called by its commonest phrase. Phrases that were not merged belong to the term of the phrase that they
    are most like, where that is at least ``similarity``, and otherwise to none.
    """

    def __init__(self, words: pd.DataFrame, likeness: Likeness, similarity: float, most: int = 100) -> None:
        from sklearn.cluster import AgglomerativeClustering

        if not 0 < similarity <= 1:
            raise InputError("phrase similarity", expected="0 < similarity <= 1", got=similarity)
        count = words["phrase"].value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable")
        require(len(count) >= 2, "phrases", expected="at least two that differ", got=len(count))
        self.likeness, self.similarity = likeness, similarity
        self._phrases = count.index.to_list()
        self._vectors_PF = likeness.vectors(self._phrases)
        apart_PP = np.clip(1 - self._vectors_PF @ self._vectors_PF.T, 0, None)
        np.fill_diagonal(apart_PP, 0)
        merge = AgglomerativeClustering(
            n_clusters=None, distance_threshold=1 - similarity + 1e-9, metric="precomputed", linkage="average"
        )
        cluster_P = merge.fit_predict(apart_PP)
        named = dict(zip(cluster_P[::-1], self._phrases[::-1], strict=True))  # the commonest phrase comes last
        self.term_of = {phrase: named[c] for phrase, c in zip(self._phrases, cluster_P, strict=True)}
        self.n_merged = len(named)
        subjects = words.assign(term=words["phrase"].map(self.term_of)).groupby("term")["subject"].nunique()
        kept = subjects.sort_index().sort_values(ascending=False, kind="stable").index[:most]
        self.names = list(kept)

    def assign(self, phrases: Sequence[str]) -> dict[str, str | None]:
        """Return the term of each phrase, None where it is like none."""
        found: dict[str, str | None] = {p: self.term_of[p] for p in phrases if p in self.term_of}
        unseen = [p for p in dict.fromkeys(phrases) if p not in found]
        if unseen:
            like_UP = self.likeness.vectors(unseen) @ self._vectors_PF.T
            for phrase, like_P in zip(unseen, like_UP, strict=True):
                near = int(like_P.argmax())
                found[phrase] = self.term_of[self._phrases[near]] if like_P[near] >= self.similarity else None
        return found

    def count(self, words: pd.DataFrame, subject_N: np.ndarray) -> np.ndarray:
        """Return count_NT, the number of annotators that used each kept term of each subject."""
        term_of = self.assign(words["phrase"].to_list())
        told = words.assign(term=words["phrase"].map(term_of)).drop_duplicates(["subject", "annotator", "term"])
        table = told.groupby(["subject", "term"]).size().unstack(fill_value=0)
        return table.reindex(index=subject_N, columns=self.names, fill_value=0).to_numpy(np.float64)

    def phrases_of(self, term: str) -> list[str]:
        """Return the phrases that were merged into a term, the commonest first."""
        return [phrase for phrase in self._phrases if self.term_of[phrase] == term]
