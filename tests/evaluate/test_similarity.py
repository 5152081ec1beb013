"""Similarity search against brute force; precision at k against counting; the panel's contents."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from equirgz.errors import InputError
from equirgz.evaluate.embedding_table import EmbeddingTable
from equirgz.evaluate.similarity import find_similar, retrieval_rows
from equirgz.report.panels.query_panel import plot_query_panel
from equirgz.retrieval.engine import search
from equirgz.retrieval.weights import Weights

RNG = np.random.default_rng(0)
GALLERY, QUERY = RNG.normal(size=(50, 6)), RNG.normal(size=(7, 6))
LABEL = RNG.integers(0, 3, 50)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_search_is_brute_force_cosine(monkeypatch) -> None:
    import equirgz.retrieval.engine as module

    monkeypatch.setattr(module, "_CHUNK", 3)  # several chunks, one of them short
    index, similarity = search(QUERY, GALLERY, 5)
    for q in range(7):
        truth = sorted(range(50), key=lambda i: -_cosine(QUERY[q], GALLERY[i]))[:5]
        assert list(index[q]) == truth
        assert np.allclose(similarity[q], [_cosine(QUERY[q], GALLERY[i]) for i in truth])
    scaled, _ = search(QUERY * 1e3, GALLERY * RNG.uniform(0.1, 9, (50, 1)), 5)
    assert np.array_equal(scaled, index)


def test_the_query_itself_can_be_left_out_and_k_is_cut() -> None:
    index, similarity = search(GALLERY, GALLERY, 1)
    assert np.array_equal(index[:, 0], np.arange(50)) and np.allclose(similarity, 1)
    index, _ = search(GALLERY, GALLERY, 100, leave_out_Q=np.arange(50))
    assert index.shape == (50, 49) and all(q not in row for q, row in enumerate(index))
    assert search(QUERY, GALLERY, 100)[0].shape == (7, 50)
    index, similarity = search(np.zeros((1, 6)), GALLERY, 3)
    assert list(index[0]) == [0, 1, 2] and np.all(similarity == 0)  # ties by index


def test_a_source_is_looked_up_by_name() -> None:
    extras = pd.DataFrame({"redshift": np.linspace(0, 1, 50)})
    table = EmbeddingTable(GALLERY, [f"J{i:04d}" for i in range(50)], LABEL, extras)
    found = find_similar(table, "J0007", 4)
    truth = sorted((i for i in range(50) if i != 7), key=lambda i: -_cosine(GALLERY[7], GALLERY[i]))[:4]
    assert list(found.source_id) == [f"J{i:04d}" for i in truth] and list(found["rank"]) == [1, 2, 3, 4]
    assert np.allclose(found.redshift, extras.redshift[truth]) and list(found.label) == list(LABEL[truth])
    dated = EmbeddingTable(GALLERY, table.source_id_N, LABEL, pd.DataFrame({"year": np.arange(50.0)}))
    assert find_similar(dated, "J0007", 3, Weights(time=1000.0))["source_id"].tolist() == ["J0049", "J0048", "J0047"]
    with pytest.raises(InputError, match="column 'year'"):
        find_similar(table, "J0007", 3, Weights(time=1.0))
    with pytest.raises(InputError, match="J0004"):
        find_similar(table, "J00044")


def test_precision_at_k_by_counting() -> None:
    label = LABEL.copy()
    label[::7] = -1
    rows = {r["metric"]: r for r in retrieval_rows(GALLERY, label, (1, 4))}
    known = np.flatnonzero(label >= 0)
    hits = []
    for q in known:
        others = sorted((i for i in known if i != q), key=lambda i: -_cosine(GALLERY[q], GALLERY[i]))[:4]
        hits.append(np.mean([label[i] == label[q] for i in others]))
    assert rows["retrieval/precision_at_4"]["value"] == pytest.approx(np.mean(hits))
    assert rows["retrieval/precision_at_4"]["n"] == len(known)
    chance = np.mean([(label[known] == label[q]).sum() - 1 for q in known]) / (len(known) - 1)
    assert rows["retrieval/precision_at_1_chance"]["value"] == pytest.approx(chance)


def test_precision_is_one_for_separate_classes_and_chance_for_noise() -> None:
    label = np.repeat([0, 1], 200)
    apart = np.eye(2)[label] + 0.1 * RNG.normal(size=(400, 2))
    assert retrieval_rows(apart, label, (10,))[0]["value"] > 0.99
    noise = retrieval_rows(RNG.normal(size=(400, 5)), label, (10,))
    assert abs(noise[0]["value"] - noise[1]["value"]) < 0.05
    other = retrieval_rows(apart[:50], label[:50], (3,), gallery_MF=apart, gallery_label_M=label)
    assert other[0]["value"] > 0.99 and other[0]["n"] == 50


def test_bad_input() -> None:
    with pytest.raises(InputError, match="queries"):
        search(QUERY[:, :3], GALLERY)
    with pytest.raises(InputError, match="NaN"):
        search(QUERY * np.nan, GALLERY)
    with pytest.raises(InputError, match="k >= 1"):
        search(QUERY, GALLERY, 0)
    with pytest.raises(InputError, match="from 1 to 49"):
        retrieval_rows(GALLERY, LABEL, (50,))
    with pytest.raises(InputError, match="labelled"):
        retrieval_rows(GALLERY, np.full(50, -1), (1,))
    with pytest.raises(InputError, match="2 queries"):
        plot_query_panel(np.zeros((1, 5, 5)), np.zeros((2, 3, 5, 5)), np.zeros((2, 3)))


def test_the_panel_shows_every_neighbour_and_marks_other_classes() -> None:
    images = RNG.random((2, 4, 9, 9))
    figure = plot_query_panel(
        images[:, 0], images[:, 1:], np.full((2, 3), 0.5), same_label_Qk=np.array([[1, 0, 1], [1, 1, 1]])
    )
    shown = [axis.images[0].get_array() for axis in figure.axes]
    assert np.array_equal(np.array(shown).reshape(2, 4, 9, 9), images)
    dashed = [axis.spines["left"].get_linestyle() == "--" for axis in figure.axes]
    assert dashed == [False, False, True, False] + [False] * 4
    figure.canvas.draw()
