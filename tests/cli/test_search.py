"""``equirgz search`` on a small table: the nearest first, a typo refused in one line."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

from equirgz import cli
from equirgz.evaluate.embedding_table import EmbeddingTable


def _run(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["equirgz", *map(str, arguments)])
    with pytest.raises(SystemExit) as done:
        cli.main()
    return int(done.value.code or 0)


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_search_lists_the_nearest_and_writes_them(tmp_path, monkeypatch, capsys, suffix: str) -> None:
    table = EmbeddingTable(np.array([[1, 0], [0.9, 0.1], [0, 1], [0.5, 0.5]]), ["a", "b", "c", "d"], [0, 0, 1, 1])
    path = table.save(tmp_path / f"h{suffix}")
    assert _run(monkeypatch, "search", path, "a", "-k", 2, "-o", tmp_path / "near.csv") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["rank", "source_id", "similarity"] and len(lines) == 3
    near = pd.read_csv(tmp_path / "near.csv")
    assert list(near.source_id) == ["b", "d"] and near.similarity[0] == pytest.approx(0.9 / np.hypot(0.9, 0.1))


def test_an_unknown_source_or_table_is_one_line(tmp_path, monkeypatch, capsys) -> None:
    path = EmbeddingTable(np.eye(2), ["J0001+01", "J0002+02"]).save(tmp_path / "h.npz")
    assert _run(monkeypatch, "search", path, "J0001+02") == 2
    error = capsys.readouterr().err
    assert "J0001+01" in error and len(error.splitlines()) == 1
    assert _run(monkeypatch, "search", tmp_path / "none.npz", "x") == 2
    assert "cannot read" in capsys.readouterr().err


def test_weights_of_columns_change_the_order(tmp_path, monkeypatch, capsys) -> None:
    extras = pd.DataFrame({"year": [2000, 2001, 2020, 2010], "keywords": ["", "jets", "", "relic; jets"]})
    path = EmbeddingTable(np.array([[1, 0], [0.9, 0.1], [0, 1], [0.5, 0.5]]), list("abcd"), extras=extras).save(
        tmp_path / "h.npz"
    )
    for options, first in ((("--recent", 9), "c"), (("--keywords", "relic", "--keyword-weight", 9), "d")):
        assert _run(monkeypatch, "search", path, "a", "-k", 1, *options) == 0
        assert capsys.readouterr().out.splitlines()[1].split()[1] == first
    assert _run(monkeypatch, "search", path, "a", "--cited", 1) == 2
    assert "column 'citations'" in capsys.readouterr().err
