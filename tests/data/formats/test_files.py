"""Folders of maps: units, companions, crops before the scale, and what shows nothing, in folders and mosaics."""

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits

from equirgz.data import load_data
from equirgz.data.formats.files import FolderOptions
from equirgz.data.formats.image_folder import load_folder
from equirgz.data.own.cut_sources import load_mosaic
from equirgz.data.own.folder_or_file import load_images
from equirgz.errors import DataError, InputError
from tests.data.formats.test_fits import make_header, make_pixels


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EQUIRGZ_CACHE", str(tmp_path / "cache"))


def write(path, pixels, unit="JY/BEAM", **cards):
    header = make_header(size=pixels.shape[-1])
    header.update({"BUNIT": unit, **cards})
    path.parent.mkdir(exist_ok=True)
    fits.PrimaryHDU(pixels.astype(np.float32), header).writeto(path)


@pytest.mark.parametrize("recipe", ["mirabest_f", "mightee_fr", "raw"])
def test_units_of_one_folder_give_the_same_images(tmp_path, recipe):
    pixels = make_pixels()
    write(tmp_path / "f" / "a.fits", pixels)
    write(tmp_path / "f" / "b.fits", pixels * 1e3, "mJy/beam")
    write(tmp_path / "f" / "c.fits", pixels * 1e6, "uJy/beam")
    images = load_images(tmp_path / "f", recipe=recipe, size=30)
    for image in images.image_NHW[1:]:
        np.testing.assert_allclose(image, images.image_NHW[0], rtol=1e-4, atol=1 if image.dtype == np.uint8 else 1e-4)
    assert set(images.table["unit"]) == {"Jy / beam"}


def test_a_fixed_rms_refuses_other_units_and_physical_images_do_not_mix(tmp_path):
    pixels = make_pixels()
    write(tmp_path / "f" / "a.fits", pixels)
    write(tmp_path / "f" / "b.fits", pixels, "")
    write(tmp_path / "f" / "c.fits", pixels, "K", BMAJ=0.0)
    images = load_images(tmp_path / "f", recipe="mightee_fr", size=30, bad_list=tmp_path / "bad.txt")
    assert images.source_id_N.tolist() == ["a"]
    bad = (tmp_path / "bad.txt").read_text()
    assert "b.fits: expected Jy/beam for a recipe with a fixed rms, got a header without BUNIT; say the unit" in bad
    assert "c.fits: expected Jy/beam for a recipe with a fixed rms, got 'K'" in bad
    with pytest.raises(InputError, match="the same unit in all"):
        load_images(tmp_path / "f", recipe="raw", size=30)
    assert len(load_images(tmp_path / "f", recipe="mightee_fr", size=30, unit="mJy/beam")) == 3
    (tmp_path / "f" / "c.fits").unlink()
    with pytest.raises(InputError, match="the same unit in all, got Jy / beam .* and none"):
        load_images(tmp_path / "f", recipe="raw", size=30)
    assert len(load_images(tmp_path / "f", size=30)) == 2  # its recipe measures the noise: any scale will do


def test_maps_that_belong_to_an_image_and_maps_that_show_nothing_are_left_out(tmp_path):
    pixels = make_pixels()
    for name in ("a.fits", "a_rms.fits", "a.weight.fits", "rms.fits", "b_rms.fits"):
        write(tmp_path / "f" / name, pixels)
    for name, value in (("x.fits", 0.0), ("y.fits", 2.5), ("z.fits", np.nan)):
        write(tmp_path / "f" / name, np.full((40, 40), value))
    faint = np.random.default_rng(0).normal(0, 1e-5, (40, 40))
    write(tmp_path / "f" / "faint.fits", faint)
    options = {"recipe": "first_0p8mjy", "size": 30, "bad_list": tmp_path / "bad.txt"}
    images = load_images(tmp_path / "f", **options)
    assert images.source_id_N.tolist() == ["a", "b_rms", "rms"]  # without an image of that name they are sources
    bad = dict(line.split("\t", 1) for line in (tmp_path / "bad.txt").read_text().splitlines())
    assert sorted(bad) == ["a.weight.fits", "a_rms.fits", "faint.fits", "x.fits", "y.fits", "z.fits"]
    assert "got a weight map of a.fits" in bad["a.weight.fits"] and "NaN in all" in bad["z.fits"]
    assert "got 0 in all" in bad["x.fits"] and "got 2.5 in all" in bad["y.fits"]
    assert "expected pixels above its threshold, got none" in bad["faint.fits"]


@pytest.mark.parametrize("form", ["folder", "mosaic"])
def test_a_bright_neighbour_outside_the_crop_does_not_set_the_scale(tmp_path, form):
    """Cut to 36 arcsec (20 pixels), the image is that of the 20 central pixels alone, whatever stands outside."""
    pixels = np.random.default_rng(0).normal(0, 1e-5, (60, 60))
    pixels[29:31, 28:32] = [[0.004, 0.01, 0.006, 0.002]] * 2
    alone, beside = pixels.copy(), pixels.copy()
    beside[50, 50] = 5.0
    found = []
    for name, sky in (("alone", alone), ("beside", beside)):
        write(tmp_path / name / "a.fits", sky)
        params = {"path": name}
        if form == "mosaic":
            pd.DataFrame({"name": ["a"], "ra": [150.0], "dec": [-2.5]}).to_csv(tmp_path / "c.csv", index=False)
            params = {"mosaics": str(tmp_path / name / "a.fits"), "catalogue": str(tmp_path / "c.csv"), "size": 50}
        data = load_data(form, tmp_path, params=params, image_size=20, crop_arcsec=36.0, normalise=False, mask=False)
        found.append(data.train)
    assert found[0].pixel_scale_arcsec == pytest.approx(1.8)
    np.testing.assert_array_equal(found[0].image_NHW, found[1].image_NHW)
    assert found[1].image_NHW.max() == 1.0
    with pytest.raises(InputError, match="crop_arcsec of the section data"):
        load_data("folder", tmp_path, params={"path": "alone", "crop_arcsec": 9.0}, crop_arcsec=36.0)


def test_options_reach_every_reader(tmp_path):
    pixels = make_pixels()
    cube = np.stack([pixels, pixels[::-1].copy() * 2])[None]
    write(tmp_path / "f" / "a.fits", cube, CTYPE3="FREQ", CTYPE4="STOKES", CRVAL3=1.4e9, CDELT3=1e6, CRVAL4=1.0)
    raw = {"recipe": "raw", "path": "f"}
    data = load_data("folder", tmp_path, params={**raw, "plane": "frequency=1"}, image_size=40, stretch="linear",
                     mask=False, normalise=False)  # fmt: skip
    np.testing.assert_array_equal(data.train.image_NHW[0], cube[0, 1])
    direct = load_folder(tmp_path / "f", options=FolderOptions("raw", plane={"stokes": "I", "frequency": 1}))
    np.testing.assert_array_equal(direct.image_NHW[0], cube[0, 1])
    with pytest.raises(DataError, match="say which with plane"):
        load_data("folder", tmp_path, params=raw)
    pd.DataFrame({"name": ["a"], "ra": [150.0], "dec": [-2.5]}).to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(DataError, match="say which with plane"):
        load_mosaic([tmp_path / "f" / "a.fits"], tmp_path / "c.csv", recipe="raw", size=20)
    params = {"mosaics": "f/a.fits", "catalogue": "c.csv", "recipe": "raw", "size": 40, "plane": 1, "hdu": 0}
    data = load_data("mosaic", tmp_path, params=params, image_size=40, stretch="linear", mask=False, normalise=False)
    np.testing.assert_allclose(data.train.image_NHW[0], cube[0, 1], atol=1e-7)
    with pytest.raises(InputError, match="no option hdu"):
        np.savez(tmp_path / "a.npz", X=np.eye(4)[None])
        load_images(tmp_path / "a.npz", hdu=1)
