"""``equirgz data card``, ``check A B`` and ``cutouts``: on the simulator, on real sets, on a stand-in for SkyView."""

from __future__ import annotations

import re
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from equirgz import create_backbone, save_encoder
from equirgz.cli import app
from equirgz.cli.sets.cutouts import file_name
from equirgz.data import DATASETS, Data
from equirgz.data.check.data_root import load_published
from equirgz.data.facts import SETS
from equirgz.data.formats.fits import load_fits
from equirgz.data.simulate.synthetic import Observation, simulate
from equirgz.data.sky.remote import make_client, position_name
from tests.data.test_fetch_remote import Server, server  # noqa: F401


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def call(*arguments, status=0):
    done = CliRunner().invoke(app, ["data", *map(str, arguments)])
    assert done.exit_code == status, done.output + repr(done.exception)
    return done


def refused(*arguments):
    """Return the text of the error that the command line shows on one line with status 2."""
    done = CliRunner().invoke(app, ["data", *map(str, arguments)])
    assert done.exception is not None and "\n" not in str(done.exception), done.output
    return f"{type(done.exception).__name__}: {done.exception}"


def test_a_card_of_the_simulator(tmp_path):
    sizes = ("--set", "params.n_train=24", "--set", "params.n_test=6", "--set", "params.n_unlabelled=4")
    done = call("card", "synthetic_fr", "-o", tmp_path / "cards", *sizes)
    card = tmp_path / "cards" / "synthetic_fr.md"
    assert done.output == f"synthetic_fr: train 24, test 6, unlabelled 4 -> {card}\n"
    text = card.read_text()
    assert "| train | 24 | 12 | 12 |" in text and "| unlabelled | 4 |" in text and "](synthetic_fr.png)" in text
    assert "licence" not in text, "no archive stands behind simulated sources"
    with Image.open(tmp_path / "cards" / "synthetic_fr.png") as sheet:
        assert sheet.width == 12 * 150


def test_cards_of_what_lies_in_the_data_root(data_root, tmp_path, monkeypatch):
    """Without names: one per archive, the damaged one named; its licence and md5 stand on the card."""
    root = tmp_path / "root"
    root.mkdir()
    for name in ("frdeep_first", "mirabest_f"):
        shutil.copy(data_root / SETS[name].filename, root)
    (root / SETS["frdeep_nvss"].filename).write_bytes(b"half a file")
    monkeypatch.setenv("EQUIRGZ_DATA", str(root))
    done = call("card", "-o", tmp_path / "cards", status=1)
    lines = done.stdout.splitlines()
    assert [line.split(" -> ")[0] for line in lines] == [
        "frdeep_first: train 550, test 50",
        "mirabest_f: train 1099, test 157",
    ]
    assert re.fullmatch(r"frdeep_nvss: .*md5: expected .*\n", done.stderr)
    written = sorted(path.name for path in (tmp_path / "cards").iterdir())
    assert written == ["frdeep_first.md", "frdeep_first.png", "mirabest_f.md", "mirabest_f.png"]
    text = (tmp_path / "cards" / "mirabest_f.md").read_text()
    assert SETS["mirabest_f"].md5 in text and "wrongly masked" in text and "University of California" in text


def test_a_card_of_a_selection_knows_its_archive(data_root, tmp_path):
    call("card", "mirabest_hybrid", "-o", tmp_path, "--set", "params.version=v1", "--data-dir", data_root)
    text = (tmp_path / "mirabest_hybrid.md").read_text()
    assert SETS["mirabest_v1"].md5 in text and SETS["mirabest_f"].md5 not in text


def test_cards_that_cannot_be_written_are_refused_before_any_is(tmp_path):
    error = refused("card", "digits", "sythetic_fr", "-o", tmp_path / "cards")
    assert "did you mean 'synthetic_fr'" in error and not (tmp_path / "cards").exists()
    assert "expected archives in" in refused("card", "-o", tmp_path, "--data-dir", tmp_path)
    assert "put the archive into it" in refused("card", "mingo_lotss", "-o", tmp_path, "--data-dir", tmp_path)
    for setting in ("n_train=4", "params.n_trian=4"):
        assert "InputError" in refused("card", "synthetic_fr", "-o", tmp_path, "--set", setting)


@pytest.fixture
def pair(monkeypatch):
    """Datasets "left" and "right" that share four of their eight sources, turned by 90 degrees, without positions."""
    images = simulate(12, ("FRI", "FRII"), Observation(), 5)
    left, right = images.subset(np.arange(8), "left/train"), images.subset(np.arange(4, 12), "right/train")
    turned = right.image_NHW[:, ::-1].swapaxes(1, 2)
    right = type(right)("right/train", turned, right.label_N, right.source_id_N, right.class_names, 1.8)
    DATASETS.names()
    for name, part in (("left", left), ("right", right)):
        monkeypatch.setitem(DATASETS._entries, name, lambda data_dir=None, /, part=part: Data(part, {}))


@pytest.fixture
def encoder(tmp_path):
    torch.manual_seed(0)
    backbone = create_backbone("steerable_cnn", group="D4", image_size=33, fields=(2, 3, 4, 4))
    facts = {"crop": 150, "stretch": "sqrt", "mask": True, "rms": 0.1}
    return save_encoder(backbone, tmp_path / "encoder", preprocessing=facts)


def test_two_datasets_are_compared_by_image_and_with_an_encoder_by_features(pair, encoder):
    plain = call("check", "left", "right").stdout.splitlines()
    assert plain == ["left/train (8 sources) against right/train (8 sources)",
                     "  same image at some orientation: 4 of A in 4 of B",
                     "  not compared: by position (8 of 8 sources of left/train and "
                     "8 of 8 sources of right/train have none)",
                     "  in all: 4 of A"]  # fmt: skip
    options = ("--encoder", encoder, "--device", "cpu")
    lines = call("check", "left", "right", *options, "--cosine", 0.99999).stdout.splitlines()
    assert lines == [*plain[:2], "  same embedding: 4 of A in 4 of B", *plain[2:]]
    loose = call("check", "left", "right", *options, "--cosine", -1).stdout
    assert "same embedding: 8 of A in 8 of B" in loose and "in all: 8 of A" in loose


def test_two_real_selections_hold_no_source_in_common(data_root, encoder, monkeypatch):
    monkeypatch.setenv("EQUIRGZ_DATA", str(data_root))
    names = ("mirabest_hybrid", "mirabest_hybrid")
    lines = call("check", *names, "--encoder", encoder, "--device", "cpu", "--cosine", 0.999999).stdout.splitlines()
    kinds = [line.strip() for line in lines if line.strip().startswith("same embedding")]
    assert kinds[0] == "same embedding: 30 of A in 30 of B" and kinds[3] == "same embedding: 4 of A in 4 of B"
    assert kinds[1] == kinds[2] == "same embedding: 0 of A in 0 of B"


def test_pairs_that_cannot_be_compared_are_one_line(pair, encoder, tmp_path):
    assert "expected two datasets" in refused("check", "left", "--encoder", encoder)
    assert "from -1 to 1" in refused("check", "left", "right", "--encoder", encoder, "--cosine", 2)
    assert "no such file" in refused("check", "left", "right", "--encoder", tmp_path / "none")
    assert "did you mean 'right'" in refused("check", "left", "rigth", "--encoder", encoder)


@pytest.fixture
def skyview(server, monkeypatch):  # noqa: F811
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = make_client(f"{server}/form")
    client.TIMEOUT = 5
    monkeypatch.setattr("equirgz.data.sky.remote.make_client", lambda: client)


def test_cutouts_of_a_catalogue_are_fetched_resumed_and_failures_listed(skyview, tmp_path):
    """RA 99: the survey has no image there; the fourth row has no position."""
    catalogue, out = tmp_path / "sources.csv", tmp_path / "out"
    rows = {
        "name": ["a.fits", "b", "../c", "d"],
        "ra": [150.1, 99.0, 12.25, None],
        "dec": [-2.5, 1.0, 60.0, 1.0],
    }
    pd.DataFrame(rows).to_csv(catalogue, index=False)
    options = ("-o", out, "--size", 12, "--rate", 1000)
    done = call("cutouts", catalogue, *options, status=1)
    assert done.stdout == f"2 fetched, 0 there already, 1 failed -> {out}\n"
    assert "left out d: no position" in done.stderr and "left out b: the survey has no image there" in done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["__c.fits", "a.fits", "failed.txt"]
    assert load_fits(out / "a.fits").pixel_scale_arcsec == pytest.approx(1.8)
    pd.DataFrame(rows).iloc[[0, 2]].to_csv(catalogue, index=False)
    asked = len(Server.log)
    assert call("cutouts", catalogue, *options).stdout == f"0 fetched, 2 there already, 0 failed -> {out}\n"
    assert len(Server.log) == asked and not (out / "failed.txt").exists()


def test_cutouts_without_ids_are_named_by_position_and_the_survey_is_asked_for(skyview, tmp_path):
    """The stand-in hosts FIRST alone."""
    pd.DataFrame({"RA": [10.0], "DEC": [-0.5]}).to_csv(tmp_path / "c.csv", index=False)
    options = ("--size", 12, "--rate", 1000)
    call("cutouts", tmp_path / "c.csv", "-o", tmp_path / "first", *options)
    assert [path.name for path in (tmp_path / "first").iterdir()] == [f"{position_name(10.0, -0.5)}.fits"]
    done = call("cutouts", tmp_path / "c.csv", "-o", tmp_path / "nvss", *options, "--survey", "nvss", status=1)
    assert "not among the surveys hosted" in done.stderr


def test_columns_of_a_catalogue_are_told(skyview, tmp_path):
    (tmp_path / "c.csv").write_text("mine;x;y\none;00:40:00;-00:30:00\n")
    columns = [word for text in ("id_column=mine", "ra_column=x", "dec_column=3") for word in ("--set", text)]
    call("cutouts", tmp_path / "c.csv", "-o", tmp_path / "out", "--size", 12, "--rate", 1000, *columns)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["one.fits"]
    wrong = refused("cutouts", tmp_path / "c.csv", "-o", tmp_path / "out", "--set", "id=mine")
    assert "unknown keyword 'id'" in wrong


def test_catalogues_that_cannot_be_used_are_one_line(tmp_path):
    pd.DataFrame({"x": [1]}).to_csv(tmp_path / "c.csv", index=False)
    assert "expected position columns" in refused("cutouts", tmp_path / "c.csv", "-o", tmp_path)
    pd.DataFrame({"id": ["a", "a"], "ra": [1, 2], "dec": [1, 2]}).to_csv(tmp_path / "c.csv", index=False)
    assert "2 different ones" in refused("cutouts", tmp_path / "c.csv", "-o", tmp_path)
    assert "unknown 'vlass'" in refused("cutouts", tmp_path / "c.csv", "-o", tmp_path, "--survey", "vlass")
    assert "none.csv" in refused("cutouts", tmp_path / "none.csv", "-o", tmp_path)


@pytest.mark.parametrize(("source", "name"), [("J0042+41", "J0042+41"), ("../../etc/x", "__.._etc_x"), ("..", "_"),
                                              (" a b.FITS.gz", "a_b"), ("", "_")])  # fmt: skip
def test_ids_never_climb_out_of_the_folder(source, name):
    assert file_name(source) == name


def test_published_sets_are_checked_by_name(data_root):
    lines = call("check", "mirabest_f", "--data-dir", data_root).output.splitlines()
    assert [line.split()[:3] for line in lines] == [["train", "1099", "images"], ["test", "157", "images"]]
    assert call("check", "frdeep_first", "--data-dir", data_root).output.startswith("train               550 images")
    assert "expected a registered dataset, got the set 'mirabest_f'" in refused(
        "check", "mirabest_f", "--set", "image_size=9"
    )
    assert "did you mean 'mirabest_f'" in refused("check", "mirabest_x", "frdeep_first")
    parts = load_published("mirabest_f", data_root), load_published("frdeep_first", data_root)
    assert [len(part) for part in parts[0].values()] == [1099, 157]
    assert [len(part) for part in parts[1].values()] == [550, 50]
