"""``equirgz init``: what it writes runs as it stands, says what was found, and overwrites nothing."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from equirgz import cli
from equirgz.errors import EquirgzError
from equirgz.grid.plan.grid import load_grid
from equirgz.grid.plan.starter import write_starter


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    monkeypatch.setenv("EQUIRGZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def write_pictures(folder, names, side=40):
    rng = np.random.default_rng(len(names))
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (side, side), dtype=np.uint8)).save(file)


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["equirgz", *map(str, arguments)])
    with pytest.raises(SystemExit) as done:
        cli.main()
    return int(done.value.code or 0), *capsys.readouterr()


def test_class_folders_give_a_grid_that_bench_run_takes(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "My maps: #1"
    write_pictures(folder, [f"{kind}/{k}.png" for kind in ("FRI", "FRII") for k in range(6)])
    code, out, err = run(monkeypatch, capsys, "init", folder)
    assert (code, err) == (0, "") and "my_maps_1.yaml written" in out
    text = (tmp_path / "my_maps_1.yaml").read_text()
    assert "# 12 images, 0 left out\n" in text and "# labels: FRI 6, FRII 6\n" in text and "40 x 40" in text
    code, out, err = run(monkeypatch, capsys, "bench", "run", "my_maps_1.yaml", "--dry-run", "--jobs", 1)
    assert code == 0 and "my_maps_1: 6 runs in 2 cells" in out, err
    data = load_grid(tmp_path / "my_maps_1.yaml").runs[0].data
    assert data.image_size == 37 and data.params == {"path": folder.as_posix(), "test_fraction": 0.2}
    assert len(load_grid(tmp_path / "my_maps_1.yaml", profile="quick").runs) == 2

    code, out, err = run(monkeypatch, capsys, "init", folder)
    assert code == 2 and "expected a new file" in err and err.count("\n") == 1
    assert (tmp_path / "my_maps_1.yaml").read_text() == text


@pytest.mark.parametrize("place", ["inside", "beside"])
def test_a_table_close_by_gives_labels_and_parts(tmp_path, place):
    folder = tmp_path / "maps"
    write_pictures(folder, [f"{k}.png" for k in range(8)])
    table = (folder if place == "inside" else tmp_path) / "labels.csv"
    rows = [f"{k},{'ab'[k % 2]},{'test' if k > 5 else 'train'}" for k in range(8)]
    table.write_text("\n".join(["name,label,split", *rows]))
    (table.parent / "other.txt").write_text("seeing,airmass\n1.2,1.1\n")
    params = load_grid(write_starter(folder)).runs[0].data.params
    assert params == {"path": folder.as_posix(), "catalogue": table.as_posix(), "split_column": "split"}


def test_what_cannot_be_told_is_asked_for_in_one_line(tmp_path):
    folder = tmp_path / "maps"
    write_pictures(folder, ["0.png", "1.png"])
    with pytest.raises(EquirgzError, match="labels: expected class folders, or a table, got none; sort the files"):
        write_starter(folder)
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("name,label\n0,x\n1,y\n")
    with pytest.raises(EquirgzError, match="expected one table of labels, got a.csv, b.csv; give --catalogue"):
        write_starter(folder)
    assert write_starter(folder, catalogue=tmp_path / "a.csv").name == "maps.yaml"
    with pytest.raises(EquirgzError, match="got nothing there"):
        write_starter(tmp_path / "nowhere")
