"""Committed answers beside published ones, and transfer: who is compared on which sources, and who is contested."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.contested import brightest_outside, list_contested, load_published, pair
from benchmarks.transfer import Trial, read_trial
from equirgz.backbones import create_backbone
from equirgz.data import ImageSet
from equirgz.errors import DataError


def answers(target: str, answer: str) -> pd.DataFrame:
    """Return the answers of one row on sources named a, b, c, ..."""
    names = pd.Index(list("abcdefgh"[: len(target)]), name="source_id")
    return pd.DataFrame({"target": list(map(int, target)), "answer": list(map(int, answer))}, index=names)


def test_errors_are_paired_on_shared_sources_of_one_split(tmp_path):
    lines = [
        "source_id,split,predicted,vote_fraction",
        "a,test,FRI,1.0",
        "b,test,FRI,0.6",
        "c,train,FRII,1",
        "z,test,FRI,1",
    ]
    (tmp_path / "p.csv").write_text("\n".join(lines))
    published = load_published(tmp_path / "p.csv")
    found = pair(answers("0110", "1100"), published, "test")  # ours wrong on a, theirs on b; c is of the other split
    assert (found["n"], found["ours"], found["published"], found["difference"]) == (2, 50.0, 50.0, 0.0)
    assert (found["only_ours"], found["only_published"], found["p"]) == (1, 1, 1.0)
    assert pair(answers("0", "0").rename(index={"a": "y"}), published, "test") is None
    for bad, line in (
        ("source_id,split\na,test", "no column predicted"),
        ("\n".join([*lines, lines[1]]), "source twice"),
    ):
        (tmp_path / "p.csv").write_text(bad)
        with pytest.raises(DataError, match=line):
            load_published(tmp_path / "p.csv")
    with pytest.raises(DataError, match="published predictions"):
        load_published(tmp_path / "none.csv")


def test_contested_sources_are_wrong_in_every_row_that_answers_them():
    rows = [("one", answers("0110", "1001")), ("two", answers("0110", "1101")), ("small", answers("01", "11"))]
    found = list_contested(rows)  # a: wrong in all three; b: right in two; c and d: wrong in both
    assert found.index.tolist() == ["a", "c", "d"] and found["rows"].tolist() == [3, 2, 2]
    assert list_contested(rows[:1]).empty


def test_a_brightest_pixel_far_out_is_named():
    image_NHW = np.zeros((2, 40, 40), np.uint8)
    image_NHW[0, 20, 23] = image_NHW[1, 20, 38] = 255
    table = pd.DataFrame({"las_arcsec": [20.0, 20.0]})
    images = ImageSet("x", image_NHW, np.zeros(2, int), np.array(["in", "out"]), ("FRI",), 1.8, None, table)
    assert brightest_outside([images]) == {"out"}


def test_a_trial_reads_every_tested_set_once():
    rng = np.random.default_rng(0)
    label_N = np.arange(24) % 2
    image_NHW = rng.normal(size=(24, 17, 17)).astype(np.float32) + 3 * label_N[:, None, None]
    ids = np.array([f"s{i}" for i in range(24)])
    images = ImageSet(
        "x", image_NHW.astype(np.float32), label_N, ids, ("FRI", "FRII"), 1.8, None, pd.DataFrame(index=range(24))
    )
    parts = {"first": images.subset(np.arange(16, 20)), "second": images.subset(np.arange(18, 24))}
    backbone = create_backbone("steerable_lenet", group="C1", image_size=17, width=0.25).eval()
    rows, frames = read_trial(backbone, Trial("x", images.subset(np.arange(16)), parts))
    assert [(row["tested"], row["n"]) for row in rows] == [("first", 4), ("second", 6)]
    for row, frame in zip(rows, frames, strict=True):
        assert frame["source_id"].tolist() == parts[row["tested"]].source_id_N.tolist()
        assert row["error"] == pytest.approx(100 * (frame[["p0", "p1"]].to_numpy().argmax(1) != frame["target"]).mean())
        assert row["low"] <= row["error"] <= row["high"]
