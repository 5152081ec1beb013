"""Tags read from frozen features: learnt, measured on sources that taught nothing, searched, and refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from own_maps import double_map, write_map
from typer.testing import CliRunner

import equirgz
from equirgz.answers.linear_readouts import TagReadOut
from equirgz.answers.source_model import SourceModel
from equirgz.answers.tagging import (
    column_of,
    describe_tags,
    measured_tags,
    rank_table,
    regressors,
    simulate_tagged,
    teach_tags,
)
from equirgz.cli import app
from equirgz.data.simulate.synthetic_tags import TAGS
from equirgz.errors import InputError
from equirgz.pretrained import FIRST_CHOICE, find_classifier, list_classifiers

N = 480


@pytest.fixture(scope="module")
def tagged():
    return simulate_tagged("FIRST", N, 150)


@pytest.fixture(scope="module")
def telling(model, tagged):
    return teach_tags(model, tagged, turns=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    for k in range(3):
        write_map(folder / f"good_{k}.fits", double_map(apart=20 + 40 * k, seed=k))
    write_map(folder / "noise.fits", double_map(peak=0))
    return folder


def test_probabilities_are_logistic_and_unknown_measures_are_filled():
    counts = np.zeros(2)
    own = TagReadOut(np.array([0.5, 2.0]), np.array([[1.0, 0.0], [2.0, -1.0]]), np.array([0.0, 1.0]), 1, *[counts] * 4)
    found = own.probability(np.array([[0.0, 0.0], [np.nan, 1.0]]))
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-np.array([[0.0, 1.0], [0.5, 1.0]]))))


def test_what_is_measured_is_what_new_sources_show(telling, tagged):
    """Counted by hand on the last fifth, which neither fitted nor chose; what is told is better than chance there."""
    last = tagged.subset(np.arange(round(0.8 * N), N))
    p_NT = telling.tags.probability(regressors(telling, last, 1))
    rows = measured_tags(telling).set_index("tag")
    assert len(rows) >= 2 and set(rows.index) <= set(TAGS)
    for t, tag in enumerate(telling.tag_names):
        said_N, is_N = p_NT[:, t] >= 0.5, last.table[tag].to_numpy() == 1
        assert rows.loc[tag, "precision"] == pytest.approx((said_N & is_N).sum() / said_N.sum())
        assert rows.loc[tag, "recall"] == pytest.approx((said_N & is_N).sum() / is_N.sum())
        assert rows.loc[tag, "n"] == len(last) and rows.loc[tag, "low"] <= rows.loc[tag, "precision"]
        assert rows.loc[tag, "average_precision"] > is_N.mean() + 0.1
    card = describe_tags(telling)
    assert all(f"| {tag} |" in card for tag in telling.tag_names) and "x-shaped" in card.partition("Not told")[2]


def test_tags_dealt_out_at_random_are_not_told(model, tagged):
    tagged = tagged.subset(np.arange(300))
    table = tagged.table.copy()
    table[list(TAGS)] = table[list(TAGS)].sample(frac=1, random_state=0).to_numpy()
    shuffled = teach_tags(model, replace(tagged, table=table), turns=1)
    assert shuffled.tags is None and shuffled.tag_names == () and describe_tags(shuffled) == ""


def test_they_are_saved_and_columns_are_those_probabilities(telling, folder, tmp_path):
    again = SourceModel.load(telling.save(tmp_path / "tags"))
    pd.testing.assert_frame_equal(measured_tags(again), measured_tags(telling), rtol=1e-5)
    table = equirgz.classify(folder, again, tags=True).set_index("id")
    columns = [column_of(tag) for tag in again.tag_names]
    p_NT = table[columns].to_numpy()
    assert np.isnan(p_NT[-1]).all() and table["tags"]["noise"] == "" and ((p_NT[:-1] > 0) & (p_NT[:-1] < 1)).all()
    for source in ("good_0", "good_1", "good_2"):
        said = [tag for tag, p in zip(again.tag_names, table.loc[source, columns], strict=True) if p >= 0.5]
        assert table.loc[source, "tags"] == ";".join(said)
    assert not [name for name in equirgz.classify(folder, again) if name.startswith("tag")]


def test_a_search_puts_first_what_it_describes_and_blank_images_last(telling, folder):
    tag, other = telling.tag_names[:2]
    table = equirgz.classify(folder, telling, search=f"{tag}, no {other}")
    p, q = table[column_of(tag)], 1 - table[column_of(other)]
    np.testing.assert_allclose(table["search"][:3], np.sqrt(np.maximum(p, 1e-3) * np.maximum(q, 1e-3))[:3])
    assert table["search"][:3].is_monotonic_decreasing and table["id"].iloc[-1] == "noise"
    assert np.isnan(table["search"].iloc[-1])
    order, score = rank_table(table.iloc[::-1], tag, telling)
    assert order[-1] == 0 and len(order) == len(score) == 4


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("   ", "query: expected words of tags, got nothing"),
        ("fluffy", "words of the tags, got 'fluffy'; Valid: bent, "),
        ("lagre", "did you mean 'large'"),
        ("x-shaped", "x-shaped, not found reliably in simulated sources"),
        ("{0}, not {0}", "each tag wanted or unwanted"),
    ],
)
def test_a_search_that_says_nothing_is_refused_before_images_are_read(telling, query, words):
    with pytest.raises(InputError, match=re.escape(words)):
        equirgz.classify("nowhere", telling, search=query.format(telling.tag_names[0]))


def test_a_model_without_tags_says_which_has_some(model):
    with pytest.raises(InputError, match="tags: expected a model that tells tags, got SourceModel") as caught:
        equirgz.classify("nowhere", model, tags=True)
    assert FIRST_CHOICE in str(caught.value)


def test_the_command_and_its_page(telling, folder, tmp_path):
    saved = telling.save(tmp_path / "tags")
    words = ["classify", str(folder), "-o", str(tmp_path / "o.csv"), "--model", str(saved)]
    tag = telling.tag_names[0]
    search = f"{tag} and fluffy, no x-shaped"
    done = CliRunner().invoke(app, [*words, "--page", str(tmp_path / "o.html"), "--search", search])
    assert done.exit_code == 0, done.output
    assert f"search: {tag}\n" in done.output and "'fluffy' names no tag; Valid: " in done.stderr
    assert "'x-shaped' is left out: not found reliably by this model" in done.stderr
    assert re.search(rf"\d {tag}: precision \d\.\d\d, recall \d\.\d\d on simulated sources", done.output)
    table = pd.read_csv(tmp_path / "o.csv")
    assert table.columns[:2].tolist() == ["id", "search"] and table["id"].iloc[-1] == "noise"
    text = (tmp_path / "o.html").read_text()
    data = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text)[1])
    assert data["columns"]["id"] == table["id"].tolist() and "tags" in data["columns"]
    assert re.findall(r'data-tag="([^"]+)"', text) == list(telling.tag_names)
    done = CliRunner().invoke(app, [*words, "--search", " "])
    assert isinstance(done.exception, InputError) and "--search: expected words of tags" in str(done.exception)


def test_shipped_models_tell_tags_and_their_cards_say_how_well():
    told = {name: SourceModel.load(name) for name in list_classifiers()}
    told = {name: model for name, model in told.items() if model.tags is not None}
    assert FIRST_CHOICE in told
    for name, model in told.items():
        rows = measured_tags(model)
        assert {"bent", "large"} <= set(rows["tag"]) and (rows["precision"] >= 0.5).all()
        assert describe_tags(model) in find_classifier(name).with_suffix(".md").read_text()
