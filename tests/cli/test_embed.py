"""``equirgz embed`` and ``search`` on folders of FITS: written by the test, with a bad file, and real ones."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from astropy.io import fits
from PIL import Image

from equirgz import cli, create_backbone, load_encoder, save_encoder
from equirgz.config import DataConfig
from equirgz.data.formats.image_folder import load_folder
from equirgz.data.preprocess import Preprocessing
from equirgz.evaluate.embedding_table import EmbeddingTable
from equirgz.grid.embedding import embed_input, preprocessing_facts

SIZE = 150
FACTS = {"crop": 81, "stretch": "sqrt", "mask": True, "rms": 0.1}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EQUIRGZ_CACHE", str(tmp_path / "cache"))


def _run(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["equirgz", *map(str, arguments)])
    with pytest.raises(SystemExit) as done:
        cli.main()
    return int(done.value.code or 0)


def _sky(offset: int) -> np.ndarray:
    """A double source whose lobes lie ``offset`` pixels from the centre, in noise, Jy/beam."""
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    lobes = sum(np.exp(-((x - side * offset) ** 2 + y**2) / 18) for side in (-1, 1))
    return (0.02 * lobes + np.random.default_rng(offset).normal(0, 1e-4, (SIZE, SIZE))).astype(">f4")


def _write(path: Path, sky_HW: np.ndarray) -> None:
    header = fits.Header({"BUNIT": "JY/BEAM", "CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN"})
    header.update({"CDELT1": -5e-4, "CDELT2": 5e-4})
    header.update({"CRVAL1": 150.0, "CRVAL2": 2.0, "CRPIX1": 75.5, "CRPIX2": 75.5, "CUNIT1": "deg", "CUNIT2": "deg"})
    fits.PrimaryHDU(sky_HW, header).writeto(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for offset in (6, 8, 22, 24):
        _write(folder / f"double_{offset}.fits", _sky(offset))
    return folder


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    backbone = create_backbone("steerable_cnn", group="D4", image_size=33, fields=(2, 3, 4, 4))
    return save_encoder(backbone, tmp_path / "encoder", preprocessing=FACTS)


def test_one_bad_file_is_named_and_listed_and_the_others_embedded(folder, encoder, tmp_path, monkeypatch, capsys):
    (folder / "broken.fits").write_bytes(b"SIMPLE  = no such thing")
    assert _run(monkeypatch, "embed", encoder, folder, "-o", tmp_path / "h.csv", "--device", "cpu") == 0
    shown = capsys.readouterr()
    assert "4 sources" in shown.out and "left out broken.fits" in shown.err and "1 files left out" in shown.err
    assert (tmp_path / "h_bad.txt").read_text().startswith("broken.fits\t")
    table = EmbeddingTable.load(tmp_path / "h.csv")
    assert sorted(table.source_id_N) == ["double_22", "double_24", "double_6", "double_8"]
    images = Preprocessing(33, 81, "sqrt", True)(load_folder(folder))  # the same by hand
    with torch.no_grad():
        expected = load_encoder(encoder)(torch.as_tensor(images.x_NCHW) / 0.1).numpy()
    np.testing.assert_allclose(table.feature_NF, expected, rtol=1e-5, atol=1e-6)
    (folder / "broken.fits").unlink()
    assert _run(monkeypatch, "embed", encoder, folder, "-o", tmp_path / "h.csv", "--device", "cpu") == 0
    assert not (tmp_path / "h_bad.txt").exists() and "left out" not in capsys.readouterr().err


def test_the_image_and_plane_of_a_file_are_chosen_by_set(folder, encoder, tmp_path, monkeypatch, capsys):
    cubes = tmp_path / "cubes"
    cubes.mkdir()
    for path in folder.glob("*.fits"):
        with fits.open(path) as file:
            sky_HW, header = file[0].data, file[0].header
        header.update({"CTYPE3": "FREQ", "CRVAL3": 1.4e9})
        cube = np.stack([sky_HW[::-1] * 3, sky_HW])
        planes = [fits.ImageHDU(cube, header, name="A"), fits.ImageHDU(cube[:1], header, name="B")]
        fits.HDUList([fits.PrimaryHDU(), *planes]).writeto(cubes / path.name)
    assert _run(monkeypatch, "embed", encoder, cubes, "-o", tmp_path / "h.csv", "--device", "cpu") == 2
    assert "say which with hdu" in capsys.readouterr().err
    chosen = ("--set", "hdu=A", "--set", "plane=frequency=1")
    assert _run(monkeypatch, "embed", encoder, cubes, "-o", tmp_path / "h.csv", "--device", "cpu", *chosen) == 0
    assert _run(monkeypatch, "embed", encoder, folder, "-o", tmp_path / "flat.csv", "--device", "cpu") == 0
    cube, flat = EmbeddingTable.load(tmp_path / "h.csv"), EmbeddingTable.load(tmp_path / "flat.csv")
    np.testing.assert_array_equal(cube.feature_NF, flat.feature_NF)
    assert _run(monkeypatch, "embed", encoder, folder, "-o", tmp_path / "h.csv", "--set", "hduu=1") == 2
    assert "did you mean 'hdu'" in capsys.readouterr().err


def test_the_folder_that_train_writes_stands_for_its_encoder(folder, encoder, tmp_path, monkeypatch):
    for given, table in ((encoder, "file.csv"), (encoder.parent, "folder.csv")):
        assert _run(monkeypatch, "embed", given, folder, "-o", tmp_path / table, "--device", "cpu") == 0
    assert (tmp_path / "file.csv").read_bytes() == (tmp_path / "folder.csv").read_bytes()
    arguments = ("search", folder, "double_6", "-k", 1, "--encoder", encoder.parent, "--device", "cpu")
    assert _run(monkeypatch, *arguments) == 0


def test_a_folder_without_an_encoder_is_refused(folder, tmp_path, monkeypatch, capsys):
    assert _run(monkeypatch, "embed", folder, folder, "-o", tmp_path / "h.csv", "--device", "cpu") == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "no such file; give the path that save_encoder returned, or a folder" in error


def test_search_in_a_folder_finds_the_double_of_like_size(folder, encoder, tmp_path, monkeypatch, capsys):
    for source, like in (("double_6", "double_8"), ("double_24", "double_22")):
        arguments = ("search", folder, source, "-k", 1, "--encoder", encoder, "-o", tmp_path / "near.csv")
        assert _run(monkeypatch, *arguments, "--device", "cpu") == 0
        assert list(pd.read_csv(tmp_path / "near.csv").source_id) == [like]
    assert _run(monkeypatch, "search", folder, "double_7", "--encoder", encoder) == 2
    error = capsys.readouterr().err
    assert "double_6" in error and len(error.splitlines()) == 1


def test_pictures_and_arrays_give_the_features_of_their_pixels(encoder, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE), dtype=np.uint8)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(pictures / f"s{i}.png")
    np.savez(tmp_path / "a.npz", X=pixels, name=["s0", "s1", "s2"])
    tables = [embed_input(encoder, str(path)).table for path in (pictures, tmp_path / "a.npz")]
    assert tables[0].source_id_N.tolist() == tables[1].source_id_N.tolist() == ["s0", "s1", "s2"]
    np.testing.assert_allclose(tables[0].feature_NF, tables[1].feature_NF, rtol=1e-5, atol=1e-6)


def test_features_of_a_source_do_not_depend_on_its_company(folder, encoder, tmp_path):
    everything = embed_input(encoder, str(folder)).table
    alone = tmp_path / "alone"
    alone.mkdir()
    (folder / "double_22.fits").rename(alone / "double_22.fits")
    single = embed_input(encoder, str(alone)).table
    expected = everything.feature_NF[everything.index_of("double_22")]
    np.testing.assert_allclose(single.feature_NF[0], expected, rtol=1e-4, atol=1e-6)


def test_what_cannot_be_read_is_one_line(encoder, tmp_path, monkeypatch, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    for source, message in ((empty, "expected files ending in"), (tmp_path / "none", "expected a folder"),
                            ("mirabest_confidnt", "did you mean")):  # fmt: skip
        assert _run(monkeypatch, "embed", encoder, source, "-o", tmp_path / "h.npz", "--device", "cpu") == 2
        error = capsys.readouterr().err
        assert message in error and len(error.splitlines()) == 1


def test_facts_are_those_of_the_training_images():
    config = DataConfig(image_size=17, crop=81, params={"n_train": 6, "n_test": 2})
    facts = preprocessing_facts(config)
    assert facts["crop"] == 81 and facts["stretch"] == "sqrt" and 0 < facts["rms"] < 1
    assert preprocessing_facts(config.model_copy(update={"normalise": False}))["rms"] == 1.0


@pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")
def test_real_fits_files(encoder, data_root, tmp_path):
    found = embed_input(encoder, str(data_root / "fits"), bad_list=tmp_path / "bad.txt")
    n_files = len(list((data_root / "fits").glob("*.fits.gz")))
    assert len(found.table) + len(found.bad_files) == n_files == 23
    assert len(found.table) >= 20 and np.isfinite(found.table.feature_NF).all()
