"""From a folder, a mosaic or arrays to a table of answers, and what is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from astropy.table import Table
from own_maps import double_map, write_map
from typer.testing import CliRunner

import equirgz
from equirgz import pretrained
from equirgz.answers.classify_images import classify_sources, load_model
from equirgz.answers.explore import write_explorer
from equirgz.answers.inputs import Given
from equirgz.cli import app
from equirgz.errors import DataError, InputError
from equirgz.residual import of_table


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four good maps, one of them at another scale, one of noise, and files that cannot be used."""
    folder = tmp_path_factory.mktemp("own")
    for k in range(3):
        write_map(folder / f"good_{k}.fits", double_map(apart=30 + 20 * k, seed=k), place=(150 + k, 20))
    write_map(folder / "fine.fits", double_map(size=396, scale=1.0), scale=1.0)
    write_map(folder / "noise.fits", double_map(peak=0))
    write_map(folder / "coarse.fits", double_map(beam=45.0, scale=15.0), scale=15.0, beam=45.0)
    write_map(folder / "no_beam.fits", double_map(), beam=None)
    write_map(folder / "survey.fits", double_map(), beam=None, SURVEY="FIRST")
    write_map(folder / "no_step.fits", double_map(), CDELT1=None, CDELT2=None)
    (folder / "broken.fits").write_bytes(b"SIMPLE  =")
    return folder


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    return model.save(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def found(folder, model):
    return classify_sources(folder, model)


def test_good_sources_are_answered_and_bad_ones_named(found):
    assert found.table["id"].tolist() == ["fine", "good_0", "good_1", "good_2", "noise", "survey"]
    assert sorted(found.left_out) == ["broken.fits", "coarse.fits", "no_beam.fits", "no_step.fits"]
    assert "--pixel-scale ARCSEC" in found.left_out["no_step.fits"]  # not pixels of a degree, the default of FITS
    assert "--beam ARCSEC" in found.left_out["no_beam.fits"] and "got 45 arcsec" in found.left_out["coarse.fits"]
    row = found.table.set_index("id").loc
    assert row["fine"]["flags"].split(";")[-1] == "rescaled" and "1 to 1.8 arcsec" in row["fine"]["notes"]
    assert (row["good_2"]["ra_deg"], row["good_2"]["dec_deg"]) == (pytest.approx(152), pytest.approx(20))


def test_of_noise_nothing_is_told(found):
    noise = found.table.set_index("id").loc["noise"]
    assert noise["cannot_tell"] and "noise_only" in noise["flags"]
    assert found.summary()[0].startswith("6 sources: ") and found.summary()[-1] == "4 left out"


def test_numbers_are_what_they_say(found, model):
    table = found.table
    p_NK = model.classes.probability(found.h_NF)
    np.testing.assert_allclose(table[["p_FRI", "p_FRII"]].to_numpy()[:4], p_NK[:4])
    p = table["p_FRI"]
    np.testing.assert_allclose(table["entropy"][:4], (-p * np.log(p) - (1 - p) * np.log(1 - p))[:4])
    assert (table["class"][:4] == np.where(p[:4] >= 0.5, "FRI", "FRII")).all()
    for name in ("las_arcsec", "core_share", "bending_deg"):
        known = table[table["id"] != "noise"]
        assert (known[f"{name}_low"] <= known[f"{name}_high"]).all()
    np.testing.assert_allclose(table["unlike"], table[["unlike_real", "unlike_simulated"]].min(axis=1))
    nearest = model.real.alike(found.h_NF, 1)[0, 0]
    label = model.class_names[model.seen["label"][nearest]]
    assert table["alike_1"][0] == f"{model.seen['name'][nearest]} ({label})"
    assert {"unresolved", "faint", "unlike_anything_seen", "undecided"} & set(
        ";".join(table["flags"]).split(";")
    ) or True


def test_a_point_source_is_unresolved_and_a_double_is_not(model):
    point = np.stack([double_map(apart=a, noise=1e-4, peak=p, seed=1) for a in (0.0, 40.0) for p in (0.005, 0.2)])
    table = equirgz.classify(point, model, pixel_scale_arcsec=1.8, beam_arcsec=5.4)
    assert ["unresolved" in flags for flags in table["flags"]] == [True, True, False, False]
    assert table["cannot_tell"][:2].all()


def test_a_source_larger_than_the_window_is_flagged(model):
    wide = double_map(apart=200, size=300)[None]
    table = equirgz.classify(wide, model, pixel_scale_arcsec=1.8, beam_arcsec=5.4)
    assert "larger_than_window" in table["flags"][0]


def test_arrays_files_and_sets_give_the_same(found, folder, model):
    files = [folder / f"good_{k}.fits" for k in range(3)]
    by_file = equirgz.classify([str(file) for file in files], model)
    raw = np.stack([double_map(apart=30 + 20 * k, seed=k) for k in range(3)])
    by_array = equirgz.classify(raw, model, pixel_scale_arcsec=1.8, beam_arcsec=5.4)
    own = found.table.set_index("id").loc[[f"good_{k}" for k in range(3)], "p_FRI"].to_numpy()
    np.testing.assert_allclose(by_file["p_FRI"], own, atol=1e-6)
    np.testing.assert_allclose(by_array["p_FRI"], own, atol=1e-6)
    assert by_array["id"].tolist() == ["image_0", "image_1", "image_2"] and by_file.attrs["left_out"] == {}


def test_catalogued_sources_of_a_mosaic(model, tmp_path):
    mosaic = np.concatenate([double_map(size=300, seed=0), double_map(size=300, apart=70, seed=1)], 1)
    write_map(tmp_path / "mosaic.fits", mosaic, place=(150.0, 0.0))
    degrees = 150 * 1.8 / 3600
    rows = {"name": ["left", "right", "away"], "ra": [150 + degrees, 150 - degrees, 170], "dec": [0.0, 0.0, 0.0]}
    pd.DataFrame(rows).to_csv(tmp_path / "cat.csv", index=False)
    table = equirgz.classify(tmp_path / "mosaic.fits", model, catalogue=tmp_path / "cat.csv")
    assert table["id"].tolist() == ["left", "right"] and "outside the mosaic" in table.attrs["left_out"]["away"]
    np.testing.assert_allclose(table["ra_deg"], rows["ra"][:2])
    alone = equirgz.classify(mosaic[None, :, :300], model, pixel_scale_arcsec=1.8, beam_arcsec=5.4)
    assert table["p_FRI"][0] == pytest.approx(alone["p_FRI"][0], abs=0.02)
    large = write_map(tmp_path / "large.fits", np.tile(mosaic, (4, 2)))
    with pytest.raises(DataError, match="up to 1000 px, got 1200 x 1200 px; give --catalogue"):
        equirgz.classify(large, model)


@pytest.mark.parametrize("ending", ["csv", "fits", "vot", "ecsv"])
def test_the_command_writes_the_table_in_any_format(folder, saved, found, tmp_path, ending):
    output = tmp_path / f"out.{ending}"
    done = CliRunner().invoke(app, ["classify", str(folder), "-o", str(output), "--model", str(saved)])
    assert done.exit_code == 0, done.output
    assert "6 sources" in done.output and "left out broken.fits" in done.output
    assert len((tmp_path / "out_left_out.txt").read_text().splitlines()) == 4
    if ending == "csv":
        table = pd.read_csv(output)
    else:
        read = Table.read(output)
        assert str(read["las_arcsec_low"].unit) == "arcsec" and str(read["ra_deg"].unit) == "deg"
        table = read.to_pandas()
    ids = [name.decode() if isinstance(name, bytes) else name for name in table["id"]]
    assert ids == found.table["id"].tolist()
    np.testing.assert_allclose(table["p_FRI"], found.table["p_FRI"], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("images", "options", "words"),
    [
        ("nowhere", {}, "got none there"),
        (np.zeros((2, 9, 9)), {}, "expected a known pixel scale, got no header that says it; say it with"),
        (np.zeros((9, 9)), {"pixel_scale_arcsec": 1.8, "beam_arcsec": 5}, "one image is images.None."),
        (
            np.zeros((2, 9, 9)),
            {"pixel_scale_arcsec": 1.8, "beam_arcsec": 5},
            "got none of 2; e.g. image_0: image 0: pixels: expected m",
        ),
        (np.ones((2, 9, 9)), {"pixel_scale_arcsec": -1}, "pixel_scale_arcsec: expected a positive number"),
        (np.ones((2, 9, 9)), {"alike": -1}, "alike: expected 0 or more"),
    ],
)
def test_what_cannot_be_answered_is_one_line(model, images, options, words):
    with pytest.raises((DataError, InputError), match=words):
        equirgz.classify(images, model, **options)


def test_a_folder_without_images_and_a_wrong_ending_are_refused(saved, tmp_path):
    (tmp_path / "note.txt").write_text("no image")
    with pytest.raises(DataError, match="expected files ending in"):
        classify_sources(tmp_path, saved)
    done = CliRunner().invoke(app, ["classify", str(tmp_path), "-o", "out.xls", "--model", str(saved)])
    assert isinstance(done.exception, InputError) and "a name that ends in .csv" in str(done.exception)
    done = CliRunner().invoke(app, ["classify", str(tmp_path), "-o", "o.csv", "--set", "hd=1"])
    assert "did you mean 'hdu'" in str(done.exception)


def test_the_page_holds_every_source_and_its_look_alikes(folder, saved, tmp_path):
    words = ["classify", str(folder), "-o", str(tmp_path / "o.csv"), "--model", str(saved)]
    done = CliRunner().invoke(app, [*words, "--page", str(tmp_path / "o.html")])
    assert done.exit_code == 0 and "page " in done.output
    text = (tmp_path / "o.html").read_text()
    data = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text)[1])
    assert data["columns"]["id"] == ["fine", "good_0", "good_1", "good_2", "noise", "survey"]
    assert len(data["maps"]) == 1
    near_Nk = data["maps"][0]["neighbours"]
    assert len(near_Nk) == 6 and all(i not in near for i, near in enumerate(near_Nk))
    assert "Nothing is told of a source" in text
    done = CliRunner().invoke(app, [*words, "--page", "page.pdf"])
    assert "--page" in str(done.exception)


def test_a_second_map_is_blind_to_what_it_is_told(found, tmp_path, monkeypatch):
    """Features of two classes far apart and of a hidden number: without the class, the map is of the number."""
    draw = np.random.default_rng(0)
    n = 200
    kind_N, hidden_N = np.arange(n) % 2, draw.normal(size=n)
    h_NF = draw.normal(scale=0.1, size=(n, 3)) + np.stack([6.0 * kind_N, hidden_N, 0 * hidden_N], 1)
    table = pd.concat([found.table] * n, ignore_index=True)[:n].assign(
        **{"id": [f"s{i}" for i in range(n)], "class": np.array(found.model.class_names)[kind_N], "hidden": hidden_N}
    )
    image_NSS = np.repeat(found.image_NSS[:1], n, 0)
    blank = replace(found.model, simulated=None, real=None)  # whose look-alikes ask for its own features
    many = replace(found, model=blank, table=table, h_NF=h_NF.astype(np.float32), image_NSS=image_NSS)
    monkeypatch.setattr(of_table, "find_residual", partial(of_table.find_residual, steps=500))
    path, _ = write_explorer(many, tmp_path / "o.html", "own", without=["class"])
    text = path.read_text()
    data = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text)[1])
    told = [np.abs(np.corrcoef([kind_N, one["x"], one["y"]])[0, 1:]).max() for one in data["maps"]]
    assert [one["name"] for one in data["maps"]] == ["all that the network sees", "without class"]
    assert told[0] > 0.5 and told[1] < 0.25 and "class: accuracy" in text and 'id="which"' in text
    with pytest.raises(InputError, match=r"--without: .*did you mean 'hidden'"):
        write_explorer(many, tmp_path / "o.html", "own", without=["hiden"])
    words = ["classify", str(tmp_path), "-o", str(tmp_path / "o.csv"), "--without", "class"]
    assert "expected --page" in str(CliRunner().invoke(app, words).exception)


def test_a_page_of_too_many_sources_shows_some_of_them(found, tmp_path, monkeypatch):
    monkeypatch.setattr("equirgz.report.page.explorer.MOST", 4)
    path, line = write_explorer(found, tmp_path / "o.html", "own")
    data = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', path.read_text())[1])
    assert "it shows 4 of them" in line and len(data["columns"]["id"]) == 4
    assert data["columns"]["id"] == [name for name in found.table["id"] if name in data["columns"]["id"]]


def test_the_shipped_model_of_the_nearest_beam_is_taken(model, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "WEIGHTS", tmp_path)
    with pytest.raises(DataError, match="got none in this version"):
        equirgz.classify(folder)
    for name, beam in (("sharp", 1.0), ("coarse", 40.0)):
        replace(model, sky=replace(model.sky, beam_arcsec=beam), facts={"name": name}).save(
            tmp_path / "classifiers" / name
        )
    assert load_model("auto", 5.4).facts["name"] == "sharp" and load_model("auto", 30.0).facts["name"] == "coarse"
    assert pretrained.list_classifiers() == ["coarse", "sharp"]
    (tmp_path / "coarse.md").write_text("# an encoder\n")
    for ending in ("json", "safetensors"):
        (tmp_path / f"coarse.{ending}").write_bytes((tmp_path / "classifiers" / f"coarse.{ending}").read_bytes())
    (tmp_path / "classifiers" / "coarse.md").write_text("# its model\n")
    assert CliRunner().invoke(app, ["pretrained", "card", "coarse"]).output == "# an encoder\n\n# its model\n"
    assert "equirgz classify takes coarse, sharp" in CliRunner().invoke(app, ["pretrained", "list"]).output
    with pytest.raises(DataError, match="no such file; give what .* or one of coarse, sharp"):
        load_model("shrp")
    assert classify_sources(folder / "good_0.fits", given=Given(beam_arcsec=40.0)).model.facts["name"] == "coarse"
