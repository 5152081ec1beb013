"""``equirgz data check PATH`` and ``--set`` of two sets: what is said, and the exit status."""

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from PIL import Image

from equirgz.data.check.data_root import share_params
from equirgz.data.check.own_images import check_own
from equirgz.errors import InputError
from tests.cli.test_data import call, refused
from tests.data.formats.test_fits import make_header, make_pixels


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EQUIRGZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def folder(tmp_path):
    """Maps in two units, one with NaN, one twice, one saturated; a constant, an empty and a broken one."""
    folder = tmp_path / "maps"
    folder.mkdir()

    def write(name, pixels, unit="JY/BEAM"):
        header = make_header()
        header["BUNIT"], header["CRVAL1"] = unit, 150.0 + ord(name[0])
        fits.PrimaryHDU(pixels, header).writeto(folder / name)

    pixels = make_pixels()
    rng = np.random.default_rng(1)
    other = pixels + rng.normal(0, 1e-4, pixels.shape).astype(np.float32)
    gap, bright = other[::-1].copy(), np.fliplr(other) * 2
    gap[:2] = np.nan
    bright[18:22, 18:22] = 1
    write("a.fits", pixels)
    write("b.fits", other * 1000, "mJy/beam")
    write("c.fits", pixels)
    write("d.fits", gap)
    write("e.fits", bright)
    write("x.fits", np.zeros((40, 40)))
    write("y.fits", np.full((40, 40), np.nan))
    write("a_rms.fits", pixels)
    (folder / "z.fits").write_bytes(b"broken")
    return folder


def test_a_folder_is_described_and_what_is_bad_gives_status_1(folder):
    text = call("check", folder, status=1).stdout
    for line in (
        "8 images, 4 left out",
        "kinds: FITS (8)",
        "sizes: 40 x 40 (6)",
        "pixel scales: 1.8 arcsec (6)",
        "Jy / beam (5), mJy / beam -> Jy / beam (1)",
        "NaN: 80 pixels in 1 images",
        "positions: 6 of 6",
        "left out: x.fits: pixels: expected more than one value, got 0 in all",
        "y.fits: expected finite pixels, got NaN in all 1600",
        "a_rms.fits: expected an image of the sky, got a rms map of a.fits",
        "z.fits: expected a readable FITS file",
        "fault: e.fits: saturated: 16 touching pixels at the largest value, 1",
        "unlabelled 5",
    ):
        assert line in text, text
    assert "duplicate: c: same pixels as a" in text


def test_good_images_give_status_0_and_labels_are_counted(folder, tmp_path):
    for name in ("x.fits", "y.fits", "z.fits", "a_rms.fits"):
        (folder / name).unlink()
    assert "5 images, 0 left out" in call("check", folder).stdout
    pd.DataFrame({"name": list("abcde"), "kind": ["u", "v", "u", "v", "v"]}).to_csv(tmp_path / "c.csv", index=False)
    settings = ("--set", f"catalogue={tmp_path / 'c.csv'}", "--set", "params.label_column=kind")
    assert "labels of train: u 2, v 3 (5 images)" in call("check", folder, *settings).stdout
    yaml = tmp_path / "run.yaml"
    yaml.write_text(
        f"data: {{name: folder, params: {{path: {folder}, catalogue: {tmp_path / 'c.csv'}, label_column: kind}}}}\n"
    )
    text = call("check", yaml).stdout
    assert "labels of train: u 2, v 3" in text and "2 u, 3 v" in text
    (folder / "z.fits").write_bytes(b"broken")
    assert "left out: z.fits" in call("check", yaml, status=1).stdout
    assert "did you mean 'recipe'" in refused("check", folder, "--set", "recipy=raw")


@pytest.mark.parametrize("ending", ["npz", "h5", "parquet"])
def test_a_file_of_images_is_described(tmp_path, ending):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8), dtype=np.uint8)
    pixels[3], pixels[4] = pixels[0], 9
    path, ids, codes = tmp_path / f"a.{ending}", list("pqrst"), [0, 1, 0, 0, 1]
    if ending == "npz":
        np.savez(path, X=pixels, name=ids, y=codes)
    elif ending == "h5":
        with h5py.File(path, "w") as file:
            file["X"], file["name"], file["y"] = pixels, ids, codes
    else:
        pd.DataFrame({"image": [x.tolist() for x in pixels], "name": ids, "label": codes}).to_parquet(path)
    text = call("check", path, status=1).stdout
    for line in ("4 images, 1 left out", "sizes: 8 x 8 (4)", "expected more than one value, got 9 in all", "0 3, 1 1"):
        assert line in text, text
    assert any("duplicate: " in line and "s" in line for line in text.splitlines())


def test_single_images_and_paths_that_are_not_there(folder, tmp_path):
    assert "units: mJy / beam -> Jy / beam (1)" in call("check", folder / "b.fits").stdout
    call("check", folder / "x.fits", status=1)
    Image.fromarray(np.eye(4) > 0).save(tmp_path / "a.png")
    assert "numbers: uint8 (1)" in call("check", tmp_path / "a.png").stdout
    assert "InputError" in refused("check", tmp_path / "nothing.fits")
    report = check_own(folder / "b.fits", unit="K")
    assert report.ok and "units: K (1)" in report.summary  # without a frequency kelvin stays


def test_options_of_two_sets_go_to_those_that_know_them(folder):
    names = ["mirabest_confident", "synthetic_fr"]
    found = share_params(names, {"params.n_train": 4, "mirabest_confident.params.version": "v1"})
    assert found == {"mirabest_confident": {"version": "v1"}, "synthetic_fr": {"n_train": 4}}
    for key, text in (("n_train", "expected params.KEY"), ("params.n_trian", "did you mean 'n_train'")):
        with pytest.raises(InputError, match=text):
            share_params(names, {key: 4})
    sizes = ("--set", "params.n_train=6", "--set", "params.n_test=0", "--set", "params.size=40")
    text = call("check", "synthetic_fr", folder, *sizes[:2]).stdout
    assert "(6 sources) against" in text
