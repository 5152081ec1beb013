"""Sources found by tag words, and tags of simulated sources."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from equirgz.cli import app
from equirgz.data.simulate.synthetic_tags import TAGS, synthetic_tags, tag_sources
from equirgz.errors import DataError, InputError
from equirgz.tags.find import rank_by_tags, read_query

NAMES = list(TAGS)


@pytest.mark.parametrize(
    ("query", "tags", "absent", "unknown"),
    [
        ("bent one-sided with a bright core", ("bent", "one-sided", "bright core"), (), ()),
        ("Hot spot, not bent", ("hot spots",), ("bent",), ()),
        ("hourglass without lobes and plumes", ("hourglass", "plumes"), ("lobes",), ()),
        ("a fluffy double double", ("double-double",), (), ("fluffy",)),
        ("bent bent", ("bent",), (), ()),
    ],
)
def test_words_become_tags(query, tags, absent, unknown):
    found = read_query(query, NAMES)
    assert (found.tags, found.absent, found.unknown) == (tags, absent, unknown)


def test_sources_are_ranked_by_all_that_was_asked():
    share = np.array([[0.9, 0.1], [0.9, 0.9], [0.1, 0.9], [1.0, 0.0]])
    order, score, _ = rank_by_tags("bent, large", ["bent", "large"], share)
    assert order[0] == 1 and score[0] == pytest.approx(0.9)
    order, score, _ = rank_by_tags("bent but not large", ["bent", "large"], share)
    assert order.tolist()[:2] == [3, 0] and score[0] == pytest.approx(1)


@pytest.mark.parametrize(
    ("query", "share", "words"),
    [
        ("  ", np.ones((2, 2)), "words of tags"),
        ("fluffy", np.ones((2, 2)), "words of the tags, got 'fluffy'; Valid: bent, large"),
        ("bnet tails", np.ones((2, 2)), "got 'bnet tails'; did you mean 'bent'"),
        ("bent, not bent", np.ones((2, 2)), "bent both"),
        ("bent", np.full((2, 2), 1.5), "shares from 0 to 1"),
        ("bent", np.full((2, 2), np.nan), "shares from 0 to 1"),
        ("bent", np.ones((2, 3)), "shares"),
    ],
)
def test_what_cannot_be_found_is_refused(query, share, words):
    with pytest.raises(InputError, match=words):
        rank_by_tags(query, ["bent", "large"], share)


def test_the_command_ranks_a_catalogue(tmp_path):
    path = tmp_path / "catalogue.csv"
    pd.DataFrame({"subject": ["a", "b"], "bent": [1, 4], "small": [3, 0]}).to_csv(path, index=False)
    done = CliRunner().invoke(app, ["tagged", str(path), "bent and smal", "-k", "1"])
    assert done.exit_code == 0 and "tags: bent" in done.output and "1.000  b" in done.output
    assert "'smal' names no tag; did you mean 'small'?" in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "expected CSV with names and tags"),
        ("s\na\n", "got 1 sources and 0 tags"),
        ("s,bent\n", "got 0 sources and 1 tags"),
        ("s,bent\na,1\na,0\n", "names: expected each once, got 'a' twice"),
        ("s,bent,large\na,1,0\nb,,1\n", "b, tag bent: expected a share or a count of 0 or more, got nan"),
        ("s,bent\na,-1\n", "a, tag bent: expected a share or a count of 0 or more, got -1"),
        ("s,bent\na,yes\n", "expected CSV with names and tags"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, text, words):
    if text is not None:
        (tmp_path / "t.csv").write_text(text)
    done = CliRunner().invoke(app, ["tagged", str(tmp_path / "t.csv"), "bent"])
    assert isinstance(done.exception, DataError) and words in str(done.exception)


def test_simulated_sources_bear_the_tags_of_their_truth():
    data = synthetic_tags(n_train=200, n_test=20)
    table = data.train.table
    assert set(np.unique(table[NAMES].to_numpy())) == {0.0, 1.0} and len(data.tests["test"].table) == 20
    assert (table["bending_deg"][table["bent"] == 1] > 25).all()
    core = table["core only"] == 1
    assert core.any() and (table["family"][core] == "compact_core").all()
    assert not table.loc[core, ["bent", "hot spots", "plumes", "lobes", "bright core", "small"]].to_numpy().any()
    with pytest.raises(DataError, match="las_arcsec"):
        tag_sources(table.drop(columns="las_arcsec"))
