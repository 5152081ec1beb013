"""Papers ranked for a question. Legend: N papers, F features, T words, k ranked."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from equirgz.errors import DataError, InputError, check_choice, require
from equirgz.paths import as_path
from equirgz.records import write_bytes_atomic
from equirgz.retrieval.engine import search
from equirgz.retrieval.papers.word_model import TOPICS, WordModel
from equirgz.retrieval.weights import Weights, keyword_sets

METHODS = ("lsa", "bm25", "both", "embedding")
FEEDBACK_SHARE = 0.3  # of the expanded query that comes from the papers found first
Embed = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class Asked:
    """How papers are ranked.

    method: ``bm25`` by words, ``lsa`` by topics, ``both`` by the mean of their two scores, each over its best,
    ``embedding`` by the model of the index. feedback: so many of the first papers lend the query their words
    (pseudo-relevance feedback: a stand-in for the made-up answer of a language model, arXiv 2212.10496, not that).
    after, before: years; least_citations; with_keywords: all must be there. keywords are what the weight of keywords
    asks for.
    """

    method: str = "lsa"
    feedback: int = 0
    weights: Weights = Weights()
    keywords: tuple[str, ...] = ()
    now: float | None = None
    after: float | None = None
    before: float | None = None
    least_citations: float | None = None
    with_keywords: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_choice("method", self.method, METHODS)
        require(self.feedback >= 0, "feedback", expected=">= 0 papers", got=self.feedback)


class PaperIndex:
    """Papers with their words, topics and, with a model of yours, embeddings.

    ``embed`` maps texts to vectors (N, F), for example ``sentence_transformers.SentenceTransformer(path).encode``.
    """

    def __init__(
        self,
        papers: pd.DataFrame,
        model: WordModel | None = None,
        *,
        embed: Embed | None = None,
        feature_NF: np.ndarray | None = None,
        titles: bool = True,
        topics: int = TOPICS,
    ) -> None:
        self.papers = papers.reset_index(drop=True)
        texts = (papers["title"] + ". " + papers["abstract"] if titles else papers["abstract"]).to_list()
        self.words = model or WordModel.of_texts(texts, topics)
        self.embed = embed
        self.topic_NF = self.words.topics()
        if embed is not None and feature_NF is None:
            feature_NF = np.asarray(embed(texts))
        self.feature_NF = feature_NF

    def rank(
        self,
        query: str,
        k: int = 10,
        asked: Asked | None = None,
        *,
        expand: Callable[[str], str] | None = None,
        rerank: Callable[[str, list[str]], Sequence[float]] | None = None,
    ) -> pd.DataFrame:
        """Return the ``k`` best papers: rank, score and the columns of the corpus.

        expand: query -> text that is ranked for in its place (an answer that a language model makes up, say).
        rerank: (query, abstracts) -> a score each, by which the 5 k first are put into a new order.
        Raises InputError for an empty query, one without a word of the corpus, and filters that leave nothing.
        """
        asked = asked or Asked()
        require(bool(query.strip()), "query", expected="some words", got="nothing")
        text = query if expand is None else expand(query)
        index, score = self.order([text], k if rerank is None else 5 * k, asked)
        found, score = index[0], score[0]
        if rerank is not None:
            given = np.asarray(rerank(query, self.papers["abstract"].iloc[found].to_list()), np.float64)
            if given.shape != found.shape or not np.isfinite(given).all():
                raise InputError("rerank", expected=f"{len(found)} finite scores", got=f"{given.shape}")
            order = np.argsort(-given, kind="stable")[:k]
            found, score = found[order], given[order]
        ranked = self.papers.iloc[found].reset_index(drop=True)
        ranked.insert(0, "score", score)
        ranked.insert(0, "rank", np.arange(1, len(found) + 1))
        return ranked

    def order(self, queries: list[str], k: int, asked: Asked) -> tuple[np.ndarray, np.ndarray]:
        """Return (index_Qk, score_Qk) of the papers."""
        weight_N = asked.weights.add(self.papers, now=asked.now, keywords=asked.keywords)
        allowed_N = self.allowed(asked)
        count_QT = self.words.count(queries)
        if asked.method == "embedding":
            if self.embed is None or self.feature_NF is None:
                mend = "give PaperIndex embed=, or `--model`"
                raise InputError("method embedding", expected="a model of the index", got="none", mend=mend)
            query_QF = np.asarray(self.embed(queries))
            return search(query_QF, self.feature_NF, k, weight_N=weight_N, allowed_N=allowed_N)
        if not (np.asarray(count_QT.sum(1)).ravel() > 0).all():
            empty = queries[int(np.asarray(count_QT.sum(1)).ravel().argmin())]
            raise InputError("query", expected="a word that the papers have", got=repr(empty[:60]))
        if asked.feedback:
            count_QT = self._with_feedback(count_QT, asked, allowed_N)
        return self._by_counts(count_QT, k, asked.method, weight_N, allowed_N)

    def _by_counts(
        self, count_QT: sparse.csr_matrix, k: int, method: str, weight_N: np.ndarray, allowed_N: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        if method == "lsa":
            return search(self.words.topics(count_QT), self.topic_NF, k, weight_N=weight_N, allowed_N=allowed_N)
        score_QN = self.words.bm25(count_QT)
        score_QN /= np.maximum(score_QN.max(1, keepdims=True), 1e-12)
        if method == "both":
            unit = [h / np.maximum(np.linalg.norm(h, axis=1, keepdims=True), 1e-12) for h in
                    (self.words.topics(count_QT), self.topic_NF)]  # fmt: skip
            cosine_QN = unit[0] @ unit[1].T
            score_QN = (score_QN + cosine_QN / np.maximum(cosine_QN.max(1, keepdims=True), 1e-12)) / 2
        score_QN = np.where(allowed_N, score_QN + weight_N, -np.inf)
        index_Qk = np.argsort(-score_QN, axis=1, kind="stable")[:, : min(k, int(allowed_N.sum()))]
        return index_Qk, np.take_along_axis(score_QN, index_Qk, 1)

    def _with_feedback(self, count_QT: sparse.csr_matrix, asked: Asked, allowed_N: np.ndarray) -> sparse.csr_matrix:
        """Return the queries' counts with the mean words of the papers that are found first without feedback."""
        first, _ = self._by_counts(count_QT, asked.feedback, asked.method, np.zeros(len(self.papers)), allowed_N)
        lent = []
        for q, papers in enumerate(first):
            mean_T = np.asarray(self.words.count_NT[papers].mean(0)).ravel() * self.words.idf_T
            share = FEEDBACK_SHARE * count_QT[q].sum() / max(mean_T.sum(), 1e-12)
            lent.append(sparse.csr_matrix(mean_T * share))
        return (count_QT + sparse.vstack(lent)).tocsr()

    def allowed(self, asked: Asked) -> np.ndarray:
        """Return which papers the filters of ``asked`` let through; a paper without the number fails its filter."""
        papers, allowed_N = self.papers, np.ones(len(self.papers), bool)
        for limit, column, sign in (
            (asked.after, "year", 1), (asked.before, "year", -1), (asked.least_citations, "citations", 1)
        ):  # fmt: skip
            if limit is not None:
                allowed_N &= (sign * (papers[column] - limit) >= 0).to_numpy()
        wanted = {word.strip().lower() for word in asked.with_keywords}
        if wanted:
            allowed_N &= np.array([wanted <= own for own in keyword_sets(papers)])
        require(bool(allowed_N.any()), "filters", expected="a paper that passes", got="none")
        return allowed_N

    def save(self, path: Path | str) -> Path:
        """Write the papers, their counts and embeddings as one .npz without pickle; the rest follows from them."""
        import io

        path = as_path(path)
        if path.suffix.lower() != ".npz":
            raise InputError("index", expected="a path ending in .npz", got=path.name)
        count_NT = self.words.count_NT.tocsr()
        arrays = {f"paper_{name}": self.papers[name].to_numpy() for name in self.papers.columns}
        arrays = {name: value.astype(str) if value.dtype == object else value for name, value in arrays.items()}
        arrays |= {"words": np.array(self.words.words), "topics": np.array(self.words.n_topics)}
        arrays |= {"data": count_NT.data.astype(np.float32), "indices": count_NT.indices, "indptr": count_NT.indptr}
        if self.feature_NF is not None:
            arrays["feature_NF"] = self.feature_NF
        stream = io.BytesIO()
        np.savez_compressed(stream, **arrays)
        write_bytes_atomic(path, stream.getvalue())
        return path

    @classmethod
    def load(cls, path: Path | str, *, embed: Embed | None = None) -> PaperIndex:
        """Read what :meth:`save` wrote; ``embed`` is the model that its embeddings were made with."""
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            papers = pd.DataFrame({n.removeprefix("paper_"): a for n, a in arrays.items() if n.startswith("paper_")})
            shape = (len(papers), len(arrays["words"]))
            count_NT = sparse.csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape)
            model = WordModel(count_NT, arrays["words"].tolist(), int(arrays["topics"]))
        except (OSError, ValueError, KeyError, EOFError) as error:
            text = " ".join(str(error).split())
            raise DataError(f"{path} is no index of papers ({text}); write one with 'equirgz papers index'") from error
        return cls(papers, model, embed=embed, feature_NF=arrays.get("feature_NF"))


def summarise(
    query: str, ranked: pd.DataFrame, write: Callable[[str, list[str]], str], *, marks: str = r"\[([^\[\]]+)\]"
) -> str:
    """Return what ``write(query, abstracts with their ids)`` says of ranked papers; it has to cite them as ``[id]``.

    Raises InputError where a summary cites nothing, or an id that is not among the papers: it is not grounded in them.
    """
    told = write(query, [f"[{row.id}] {row.title}. {row.abstract}" for row in ranked.itertuples()])
    cited = {mark.strip() for group in re.findall(marks, told) for mark in group.split(",")}
    strange = sorted(cited - set(ranked["id"]))
    if strange or not cited:
        got = ", ".join(strange[:3]) if strange else "none"
        raise InputError("summary", expected="citations [id] of the papers that were found", got=got)
    return told
