"""``equirgz look``: figures that open, lists that rank, and one line where something cannot be done."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import equirgz
from equirgz import cli
from equirgz.evaluate.embedding_table import EmbeddingTable


def _run(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["equirgz", "look", *map(str, arguments)])
    with pytest.raises(SystemExit) as done:
        cli.main()
    return int(done.value.code or 0)


@pytest.fixture
def table(tmp_path):
    generator = np.random.default_rng(0)
    centre = np.repeat([[0, 0, 4], [4, 0, 0], [0, 4, 0]], 10, 0)
    extras = pd.DataFrame({"las_arcsec": np.arange(1.0, 31.0)})
    names = [f"s{i}" for i in range(30)]
    return EmbeddingTable(centre + generator.normal(0, 0.1, (30, 3)), names, np.arange(30) // 10, extras).save(
        tmp_path / "h.npz"
    )


@pytest.fixture
def encoder(tmp_path, monkeypatch):
    torch.manual_seed(0)
    made = equirgz.create_backbone("attention_lenet", image_size=33, width=0.35)
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(5):
        pixels = np.random.default_rng(i).integers(0, 255, (33, 33)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"s{i}.png")
    return equirgz.save_encoder(made, tmp_path / "encoder", trained=True), folder


def test_a_map_is_drawn_and_clusters_are_listed(table, tmp_path, monkeypatch, capsys) -> None:
    out = tmp_path / "map.png"
    assert _run(monkeypatch, "map", table, "-o", out, "--size", "las_arcsec", "--clusters", tmp_path / "c.csv") == 0
    with Image.open(out) as image:
        assert image.size[0] > 500
    assert "3 clusters hold 30 of 30 sources" in capsys.readouterr().out
    found = pd.read_csv(tmp_path / "c.csv")
    assert found.groupby("cluster")["label"].nunique().tolist() == [1, 1, 1]
    assert _run(monkeypatch, "map", table, "-o", out, "--size", "las_arcsecs") == 2
    assert "did you mean 'las_arcsec'" in capsys.readouterr().err
    assert _run(monkeypatch, "map", table, "-o", tmp_path / "map.doc") == 2


def test_ratings_change_what_is_to_be_looked_at_next(table, tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "r.csv").write_text("source_id,rating\ns0,1\ns1,1\ns2,1\ns10,0\ns11,0\ns20,0\ns21,0\n")
    assert _run(monkeypatch, "next", table, "-n", 5, "--ratings", tmp_path / "r.csv") == 0
    assert {int(name[1:]) // 10 for name in capsys.readouterr().out.split()} == {0}
    assert _run(monkeypatch, "next", table, "-n", 5) == 0
    assert len(set(capsys.readouterr().out.split())) == 5
    (tmp_path / "r.csv").write_text("name,rating\ns0,1\n")
    assert _run(monkeypatch, "next", table, "--ratings", tmp_path / "r.csv") == 2
    error = capsys.readouterr().err
    assert "columns source_id and rating" in error and len(error.splitlines()) == 1


def test_the_shift_of_a_set_to_a_moved_one_is_told_from_chance(table, tmp_path, monkeypatch) -> None:
    moved = EmbeddingTable(EmbeddingTable.load(table).feature_NF + 3, [f"m{i}" for i in range(30)])
    assert _run(monkeypatch, "shift", table, moved.save(tmp_path / "moved.npz"), "-o", tmp_path / "shift") == 0
    found = pd.read_csv(tmp_path / "shift.csv").set_index("metric")
    assert set(found.pair) == {"h, moved"} and found.p_value["shift/frechet"] < 0.05


def test_neighbours_and_attention_of_images(encoder, tmp_path, monkeypatch, capsys) -> None:
    weights, folder = encoder
    assert _run(monkeypatch, "neighbours", weights, folder, "s0", "s3", "-k", 3, "-o", tmp_path / "n.svg") == 0
    assert (tmp_path / "n.svg").read_text().count("<image") == 2 * (1 + 3)
    assert _run(monkeypatch, "attention", weights, folder, "s1", "-o", tmp_path / "a.svg") == 0
    assert (tmp_path / "a.svg").read_text().count("<image") == 2 * 5
    assert _run(monkeypatch, "attention", weights, folder, "s9", "-o", tmp_path / "a.svg") == 2
    assert "source 's9' is not in" in capsys.readouterr().err
