"""Labels and ratings, as the page exports them, back into a model and an order."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from own_maps import double_map, write_map
from typer.testing import CliRunner

from equirgz.answers.classify_images import classify_sources
from equirgz.answers.from_marks import finetune_folder, rank_anomalies, read_marks
from equirgz.answers.source_model import SourceModel
from equirgz.cli import app
from equirgz.errors import DataError, InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eight narrow and eight wide doubles."""
    folder = tmp_path_factory.mktemp("own")
    for k in range(16):
        wide = k % 2
        write_map(folder / f"{'wide' if wide else 'narrow'}_{k:02d}.fits", double_map(apart=15 + 60 * wide + k, seed=k))
    return folder


@pytest.fixture
def saved(model, tmp_path):
    return model.save(tmp_path / "base")


def write_marks(path, **columns):
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def test_labels_make_a_model_that_classifies_the_rest(folder, saved, tmp_path):
    known = [f"{'wide' if k % 2 else 'narrow'}_{k:02d}" for k in range(10)]
    labels = write_marks(tmp_path / "labels.csv", source_id=known, label=[name[:4] for name in known], rating="")
    out = tmp_path / "mine"
    words = ["finetune", str(folder), "--labels", str(labels), "-o", str(out), "--model", str(saved)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "SourceModel('mine': narr, wide on images of FIRST): error/rate" in done.output
    card = (tmp_path / "mine.md").read_text()
    assert "10 labelled sources (5 narr, 5 wide)" in card and "frozen features of tiny" in card
    own = classify_sources(folder, SourceModel.load(out))
    right = [row["class"] == row["id"][:4] for _, row in own.table.iterrows() if row["id"] not in known]
    assert len(right) == 6 and all(right)
    assert own.table["alike_1"].str.contains("narr|wide").all() and own.table["las_arcsec"].notna().all()


@pytest.mark.parametrize(
    ("columns", "error", "words"),
    [
        ({"source_id": ["narrow_00", "gone"], "label": ["a", "b"]}, InputError, "1 others, first 'gone'"),
        ({"source_id": ["narrow_00", "wide_01"], "label": ["a", "b"]}, InputError, "each, got 1 a, 1 b"),
        ({"source_id": ["narrow_00", "narrow_00"], "label": ["a", "b"]}, DataError, "one label, got 'a' and 'b'"),
        ({"source_id": ["narrow_00"], "label": [""]}, DataError, "a label of some source, got none in 1 rows"),
        ({"name": ["narrow_00"], "label": ["a"]}, DataError, "the columns source_id and label, got name, label"),
    ],
)  # fmt: skip
def test_labels_that_cannot_be_used_are_one_line(folder, model, tmp_path, columns, error, words):
    labels = write_marks(tmp_path / "labels.csv", **columns)
    with pytest.raises(error, match=words):
        finetune_folder(folder, labels, tmp_path / "mine", model)
    assert not (tmp_path / "mine.safetensors").exists()


def test_ratings_bring_sources_like_the_liked_ones_first(folder, model, saved, tmp_path):
    rated = ["narrow_00", "narrow_02", "narrow_04", "wide_01", "wide_03", "wide_05"]
    ratings = write_marks(tmp_path / "r.csv", id=rated, rating=[1, 1, 2, 5, 4, 5])
    table = rank_anomalies(folder, ratings, model)
    unrated = table[table["rating"].isna()]
    assert (unrated["id"].str[:4] == "wide").head(5).sum() >= 4 and len(unrated) == 10
    assert (np.diff(table["interest"]) <= 1e-5).all() and table["rating"].notna().sum() == 6
    words = ["anomalies", str(folder), "--ratings", str(ratings), "--model", str(saved), "-n", "3"]
    done = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "order.csv")])
    assert done.exit_code == 0 and "10 of 16 sources not rated yet" in done.output
    assert pd.read_csv(tmp_path / "order.csv")["id"].tolist() == table["id"].tolist()
    first = rank_anomalies(folder, None, model)
    assert len(first) == 16 and first["deviation"].isna().all()


def test_ratings_that_are_no_numbers_or_of_nobody_are_refused(folder, model, tmp_path):
    with pytest.raises(DataError, match="expected ratings that are numbers"):
        rank_anomalies(folder, write_marks(tmp_path / "a.csv", id=["narrow_00"], rating=["high"]), model)
    with pytest.raises(InputError, match="did you mean 'narrow_00'"):
        rank_anomalies(folder, write_marks(tmp_path / "b.csv", id=["narow_00"], rating=[1]), model)
    with pytest.raises(DataError, match="expected CSV with the columns source_id and rating"):
        read_marks(tmp_path / "none.csv", "rating")
