"""Embedding tables: exact round trips, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from equirgz.errors import DataError, InputError
from equirgz.evaluate.embedding_table import EmbeddingTable


def _table() -> EmbeddingTable:
    rng = np.random.default_rng(0)
    extras = pd.DataFrame({"las_arcsec": [1.5, np.nan, 3.0, 4.0], "survey": ["FIRST", "FIRST", "NVSS", "NVSS"]})
    ids = ["J0001+01", "007", "a,b", "J0003-22"]
    return EmbeddingTable(rng.normal(size=(4, 3)) * [1, 1e-8, 1e8], ids, [0, 1, -1, 1], extras)


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_round_trip_is_exact(tmp_path, suffix: str) -> None:
    table = _table()
    loaded = EmbeddingTable.load(table.save(tmp_path / f"h{suffix}"))
    assert np.array_equal(loaded.feature_NF, table.feature_NF) and loaded.feature_NF.dtype == np.float32
    assert list(loaded.source_id_N) == list(table.source_id_N) and list(loaded.label_N) == [0, 1, -1, 1]
    pd.testing.assert_frame_equal(loaded.extras, table.extras)


def test_labels_and_extras_may_be_missing(tmp_path) -> None:
    for suffix in (".npz", ".csv"):
        loaded = EmbeddingTable.load(EmbeddingTable(np.eye(2), ["a", "b"]).save(tmp_path / f"x{suffix}"))
        assert list(loaded.label_N) == [-1, -1] and len(loaded.extras.columns) == 0 and len(loaded) == 2


def test_sources_are_found_by_name() -> None:
    assert _table().index_of("a,b") == 2
    with pytest.raises(InputError, match="near: J0001"):
        _table().index_of("J0001+02")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source_id_N": ["a", "b", "a", "c"]}, "'a' twice"),
        ({"source_id_N": ["a", "b"]}, "expected 4"),
        ({"label_N": [0]}, "labels"),
        ({"feature_NF": np.full((4, 2), np.nan)}, "NaN or infinity in 4"),
        ({"feature_NF": np.zeros(4)}, r"\(N, F\)"),
    ],
)
def test_bad_tables(change: dict, message: str) -> None:
    fields = {"feature_NF": np.zeros((4, 2)), "source_id_N": list("abcd")} | change
    with pytest.raises(InputError, match=message):
        EmbeddingTable(**fields)


def test_bad_files(tmp_path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        EmbeddingTable.load(tmp_path / "missing.npz")
    (tmp_path / "cut.npz").write_bytes((_table().save(tmp_path / "h.npz")).read_bytes()[:100])
    with pytest.raises(DataError, match="no embedding table"):
        EmbeddingTable.load(tmp_path / "cut.npz")
    np.savez(tmp_path / "evil.npz", feature_NF=np.array([{}], dtype=object))
    with pytest.raises(DataError, match="no embedding table"):
        EmbeddingTable.load(tmp_path / "evil.npz")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="source_id"):
        EmbeddingTable.load(tmp_path / "other.csv")
    with pytest.raises(InputError, match=".npz or .csv"):
        _table().save(tmp_path / "h.txt")


def test_a_flux_density_is_no_feature(tmp_path) -> None:
    table = EmbeddingTable(np.eye(3)[:, :2], np.array(["a", "b", "c"]), extras=pd.DataFrame({"f1400": [1.0, 2.0, 3.0]}))
    for suffix in (".csv", ".npz"):
        again = EmbeddingTable.load(table.save(tmp_path / f"table{suffix}"))
        assert again.feature_NF.shape == (3, 2) and again.extras["f1400"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("name", ["file", "label", "source_id", "feature_NF"])
def test_extras_with_the_name_of_another_part_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"other names than '{name}'"):
        EmbeddingTable(np.eye(2), np.array(["a", "b"]), extras=pd.DataFrame({name: [1, 2]}))
