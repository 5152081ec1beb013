"""The one search against brute force, in blocks and on a memory map; weights; metrics against scikit-learn."""

from __future__ import annotations

import sys
import types

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from equirgz.errors import InputError, MissingPackageError
from equirgz.metrics.ranking import ndcg_per_query, recall_per_query, reciprocal_rank_per_query
from equirgz.retrieval.approximate import ApproximateSearch
from equirgz.retrieval.engine import search
from equirgz.retrieval.judge import check_not_inside, judge, judge_search
from equirgz.retrieval.weights import Weights

YEAR = pd.DataFrame({"year": [2000.0, 2010.0, np.nan, 2020.0], "citations": [0, 10, np.nan, 1000],
                     "keywords": ["radio; jets", "Radio", None, "galaxies, jets"]})  # fmt: skip


@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 12), st.booleans())
@settings(max_examples=30, deadline=None)
def test_blocks_find_what_a_sort_of_everything_finds(seed, block_rows, k, coarse):
    """Also with ties (coarse vectors), rows that are left out or not allowed, and weights."""
    draw = np.random.default_rng(seed)
    gallery, query = (draw.normal(size=(n, 3)) for n in (25, 4))
    if coarse:
        gallery, query = np.round(gallery), np.round(query)
    weight, allowed, out = draw.random(25).round(1), draw.random(25) < 0.8, draw.integers(-1, 25, 4)
    allowed[:2] = True
    options = {"leave_out_Q": out, "weight_N": weight, "allowed_N": allowed}
    index, score = search(query, gallery, k, block_rows=block_rows, **options)
    whole = search(query, gallery, k, **options)
    np.testing.assert_allclose(score, whole[1], atol=1e-12)
    length = np.linalg.norm(query, axis=1)[:, None] * np.linalg.norm(gallery, axis=1)
    full = np.divide(query @ gallery.T, length, out=np.zeros((4, 25)), where=length > 0) + weight
    full[:, ~allowed] = -np.inf
    full[np.flatnonzero(out >= 0), out[out >= 0]] = -np.inf
    expected = -np.sort(-full, axis=1)[:, : index.shape[1]]
    np.testing.assert_allclose(score, expected, atol=1e-9)
    np.testing.assert_allclose(np.take_along_axis(full, index, 1), expected, atol=1e-9)
    assert index.shape[1] == min(k, allowed.sum() - 1) and all(len(set(row)) == len(row) for row in index)


def test_equal_rows_come_in_their_order_whatever_the_blocks():
    gallery = np.tile(np.eye(2), (30, 1))
    for block_rows in (1, 7, 1000):
        assert search(np.eye(2)[:1], gallery, 5, block_rows=block_rows)[0].tolist() == [[0, 2, 4, 6, 8]]


def test_a_memory_map_is_searched_without_being_read_whole(tmp_path):
    gallery = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
    np.save(tmp_path / "table.npy", gallery)
    mapped = np.load(tmp_path / "table.npy", mmap_mode="r")
    found = search(gallery[:3], mapped, 4, block_rows=64)
    np.testing.assert_array_equal(found[0], search(gallery[:3], gallery, 4)[0])
    bad = gallery.copy()
    bad[450, 2] = np.nan
    with pytest.raises(InputError, match="NaN"):
        search(gallery[:3], bad, 4, block_rows=64)


@given(st.integers(0, 10_000), st.integers(1, 8))
@settings(max_examples=30, deadline=None)
def test_metrics_are_those_of_scikit_learn_and_of_counting(seed, k):
    draw = np.random.default_rng(seed)
    gain = draw.integers(0, 4, (5, 8)).astype(float)
    gain[np.arange(5), draw.integers(0, 8, 5)] += 1
    order = -np.arange(8.0)[None].repeat(5, 0)
    expected = [ndcg_score(gain[[i]], order[[i]], k=k, ignore_ties=True) for i in range(5)]
    np.testing.assert_allclose(ndcg_per_query(gain, k), expected, atol=1e-12)
    hit = gain > 0
    for i in range(5):
        places = [place for place in range(8) if hit[i, place]]
        assert recall_per_query(hit, k)[i] == pytest.approx(sum(p < k for p in places) / len(places))
        assert reciprocal_rank_per_query(hit)[i] == pytest.approx(1 / (1 + places[0]))
    one = np.eye(8, dtype=bool)[draw.integers(0, 8, 5)]  # with one relevant entry, average precision is 1 / rank
    precision = [average_precision_score(one[i], order[i]) for i in range(5)]
    np.testing.assert_allclose(reciprocal_rank_per_query(one), precision, atol=1e-12)


def test_cut_rankings_count_what_they_do_not_show():
    hit = np.array([[1, 0, 0], [0, 0, 0]])
    rows = {row["metric"]: row for row in judge(hit, ks=(1, 3), n_relevant_Q=np.array([2, 1]), n_draws=50)}
    assert rows["retrieval/recall_at_3"]["value"] == pytest.approx(0.25)
    assert rows["retrieval/mean_reciprocal_rank"]["value"] == pytest.approx(0.5)
    ideal = 1 + 1 / np.log2(3)
    assert rows["retrieval/ndcg_at_3"]["value"] == pytest.approx(1 / ideal / 2)
    assert rows["retrieval/recall_at_1"]["low"] <= 0.25 <= rows["retrieval/recall_at_1"]["high"]


def test_queries_are_judged_by_what_they_are_of():
    draw = np.random.default_rng(0)
    kind = np.repeat(np.arange(3), 5)
    gallery = np.eye(3)[kind] + 0.01 * draw.normal(size=(15, 3))
    ids = ([f"q{i}" for i in range(3)], [f"g{i}" for i in range(15)])
    rows = {r["metric"]: r["value"] for r in judge_search(np.eye(3), gallery, (range(3), kind), ids=ids, ks=(1, 5))}
    assert rows == pytest.approx({"retrieval/recall_at_1": 0.2, "retrieval/recall_at_5": 1, "retrieval/ndcg_at_5": 1,
                                  "retrieval/mean_reciprocal_rank": 1})  # fmt: skip
    turned = {r["metric"]: r["value"] for r in judge_search(np.eye(3), gallery, ([1, 2, 0], kind), ids=ids, ks=(5,))}
    assert turned["retrieval/recall_at_5"] == 0
    with pytest.raises(InputError, match="expected a relevant row of the table for each, got none for 'q1' and 1 more"):
        judge_search(np.eye(3), gallery, ([0, 8, 7], kind), ids=ids)
    with pytest.raises(InputError, match="queries: expected one or more, got none"):
        judge_search(np.eye(3)[:0], gallery, ([], kind), ids=([], ids[1]))
    with pytest.raises(InputError, match="none in the table itself"):
        judge_search(np.eye(3), gallery, (range(3), kind), ids=(["q0", "q1", "g4"], ids[1]))


def test_weights_by_hand():
    time = Weights(time=2.0, years=10).add(YEAR)
    known = np.exp(-np.array([20, 10, 0]) / 10)
    np.testing.assert_allclose(time, 2 * np.array([*known[:2], known.mean(), known[2]]))
    cited = Weights(citations=1.0).add(YEAR)
    np.testing.assert_allclose(cited[[0, 1, 3]], [0, np.log(11) / np.log(1001), 1])
    assert Weights(keywords=1.0).add(YEAR, keywords=["jets", "RADIO"]).tolist() == [1, 0.5, 0, 0.5]
    assert not Weights().add(pd.DataFrame(index=range(3))).any()


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: Weights(time=-1), "weight of time"),
        (lambda: Weights(years=0), "years"),
        (lambda: Weights(time=1).add(YEAR, now=2015), "dates: expected none after 2015, got 2020"),
        (lambda: Weights(time=1).add(YEAR[["citations"]]), "column 'year'"),
        (lambda: Weights(citations=1).add(YEAR.assign(citations=-1)), "citations"),
        (lambda: Weights(citations=1).add(YEAR.assign(citations="x")), "some numbers"),
        (lambda: Weights(keywords=1).add(YEAR), "keywords that are asked for"),
        (lambda: search(np.ones((1, 2)), np.ones((3, 2)), weight_N=np.ones(2)), "weights"),
        (lambda: search(np.ones((1, 2)), np.ones((3, 2)), allowed_N=np.zeros(3)), "0 sources to find"),
        (lambda: search(np.ones((1, 2)), np.ones((3, 2)), block_rows=0), "rows in a block"),
        (lambda: recall_per_query(np.zeros((2, 3)), 1), "a relevant entry for every query"),
        (lambda: ndcg_per_query(np.zeros((2, 3)), 1), "a relevant entry for every query"),
        (lambda: ndcg_per_query(-np.ones((2, 3)), 1), "numbers >= 0"),
        (lambda: recall_per_query(np.eye(2), 1, np.array([0, 1])), "at least those found"),
        (lambda: check_not_inside(["a"], ["b", "a"]), "none in the table itself, got 'a'"),
        (lambda: check_not_inside(["a"], ["b", "b"]), "'b' twice"),
    ],
)
def test_what_cannot_be_asked_is_refused(act, words):
    with pytest.raises(InputError, match=words):
        act()


def test_approximate_search_speaks_to_its_package(monkeypatch):
    """With a stand-in that searches exactly, what comes out is exact; without the package, an error says so."""
    gallery = np.random.default_rng(0).normal(size=(60, 5))

    class Exact:
        def __init__(self, width, links, metric):
            self.rows, self.hnsw = np.empty((0, width), np.float32), types.SimpleNamespace()
            assert metric == 0

        def add(self, rows):
            self.rows = np.concatenate([self.rows, rows])

        def search(self, query, k):
            score = query @ self.rows.T
            order = np.argsort(-score, 1)[:, :k]
            return np.take_along_axis(score, order, 1), order

    monkeypatch.setitem(sys.modules, "faiss", types.SimpleNamespace(IndexHNSWFlat=Exact, METRIC_INNER_PRODUCT=0))
    graph = ApproximateSearch(gallery, breadth=40)
    assert graph.recall(gallery[:7] + 0.1, 4) == 1.0
    monkeypatch.setattr(Exact, "search", lambda self, query, k: (np.zeros((7, k)), np.full((7, k), 59)))
    assert graph.recall(gallery[:7], 4) < 0.5
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingPackageError, match="faiss"):
        ApproximateSearch(gallery)
