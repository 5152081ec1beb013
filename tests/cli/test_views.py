"""``equirgz views``: a table of every part, a contact sheet, and bad input in one line."""

from __future__ import annotations

import sys

import pandas as pd
import pytest
import torch
import yaml

import equirgz
from equirgz import cli

RUN = {
    "data": {"name": "synthetic_fr", "image_size": 17, "crop": 101, "params": {"n_train": 24, "n_test": 8}},
    "train": {"augmentation": "radio_ssl"},
}


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(RUN))
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump({"name": "g", "base": RUN, "axes": {"replicate": [0, 1]}}))

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["equirgz", "views", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            cli.main()
        return int(done.value.code or 0), *capsys.readouterr()

    return call


def test_every_part_has_a_row_and_the_sheet_is_drawn(run, tmp_path):
    arguments = ("--figure", tmp_path / "sheet.png", "--table", tmp_path / "views.csv", "--views", 2)
    code, out, _ = run(tmp_path / "run.yaml", *arguments)
    rows = pd.read_csv(tmp_path / "views.csv").set_index("views")
    assert code == 0 and "24 training sources, 2 views each, judged by a probe of the pixels" in out
    assert list(rows.index)[:2] == ["all of it", "turns and flips"] and len(rows) == 9
    assert rows["retrieval"].between(0, 1).all() and (rows["n"] == 24).all()
    assert (tmp_path / "sheet.png").stat().st_size > 2000


def test_a_saved_network_judges_and_a_grid_gives_its_base(run, tmp_path):
    torch.manual_seed(0)
    encoder = equirgz.create_backbone("steerable_cnn", group="D4", image_size=17, fields=(2, 4), kernel_sizes=(5, 3))
    equirgz.save_encoder(encoder, tmp_path / "encoder")
    code, out, _ = run(tmp_path / "grid.yaml", "--network", tmp_path / "encoder", "--set", "augmentation=flips")
    assert code == 0 and "judged by a probe of the encoder's features" in out
    line = next(line for line in out.splitlines() if line.startswith("all of it"))
    assert line.split()[3:7] == ["100.0", "%", "0.0", "%"], "flips change nothing for a D4 network"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--stage", "pretrain"), "expected a run with a pre-training"),
        (("--stage", "test"), "--stage"),
        (("--network", "nowhere/encoder"), "no such file"),
        (("--figure", "sheet.txt"), "--figure"),
        (("--set", "augmentation=radio"), "radio_ssl"),
    ],
)
def test_bad_input_is_one_line(run, tmp_path, arguments, words):
    code, _, err = run(tmp_path / "run.yaml", *arguments)
    assert code == 2 and words in err and len(err.strip().splitlines()) == 1
