import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from PIL import Image

from equirgz.data import load_data
from equirgz.data.formats.files import FolderOptions
from equirgz.data.formats.image_folder import load_folder
from equirgz.data.notes import note, watch_loading
from equirgz.data.preprocess import fit_size
from equirgz.errors import DataError, InputError
from tests.data.formats.test_fits import make_header


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EQUIRGZ_CACHE", str(tmp_path / "cache"))


def write_fits(path, seed, size=40, ra=150.0, scale=1.8):
    pixels = np.random.default_rng(seed).normal(0, 1e-4, (size, size)).astype(np.float32)
    pixels[size // 2, size // 2] = 0.05
    header = make_header(scale, size)
    header["CRVAL1"] = ra
    fits.PrimaryHDU(pixels.astype(">f4"), header).writeto(path)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(6):
        write_fits(folder / f"src_{i}.fits", i, ra=150.0 + i)
    (folder / "notes.txt").write_text("not an image")
    return folder


OPTIONS = FolderOptions(size=20)


def test_folder_of_fits_without_a_catalogue(folder):
    images = load_folder(folder, options=OPTIONS)
    assert images.source_id_N.tolist() == [f"src_{i}" for i in range(6)] and images.image_NHW.shape == (
        6,
        20,
        20,
    )
    assert (images.image_NHW.reshape(6, -1).argmax(1) == 10 * 20 + 10).all() and images.pixel_scale_arcsec == 1.8
    np.testing.assert_allclose(images.position_deg_N2[:, 0], 150 + np.arange(6))
    assert (images.label_N == -1).all()


@pytest.mark.parametrize("match", ["name", "position"])
def test_catalogue_rows_are_matched(folder, tmp_path, match):
    rows = pd.DataFrame(
        {
            "name": [f"src_{i}.fits" for i in (3, 0, 1, 9)],
            "RA": [153.0, 150.0, 151.0, 12.0],
            "DEC": [-2.5] * 4,
            "kind": ["b", "a", "b", "a"],
            "flux": [3.0, 0.0, 1.0, 9.0],
        }
    )
    rows.to_csv(tmp_path / "c.csv", index=False)
    images = load_folder(folder, catalogue=tmp_path / "c.csv", label_column="kind", match=match, options=OPTIONS)
    assert images.label_N.tolist() == [0, 1, -1, 1, -1, -1] and images.class_names == ("a", "b")
    assert images.table["flux"].tolist()[:2] == [0, 1] and np.isnan(images.table["flux"][2])
    np.testing.assert_allclose(images.position_deg_N2[2], [152.0, -2.5])  # from the header


def test_catalogue_faults_are_named(folder, tmp_path):
    pd.DataFrame({"flux": [1.0]}).to_csv(tmp_path / "a.csv", index=False)
    for match, expected in (
        ("name", "an id column"),
        ("position", "position columns"),
        ("nearest", "Valid: name, position"),
    ):
        with pytest.raises((DataError, InputError), match=expected):
            load_folder(folder, catalogue=tmp_path / "a.csv", match=match, options=OPTIONS)
    pd.DataFrame({"name": ["other"]}).to_csv(tmp_path / "b.csv", index=False)
    with pytest.raises(DataError, match="rows that match the files by name, got none of 6"):
        load_folder(folder, catalogue=tmp_path / "b.csv", options=OPTIONS)
    pd.DataFrame({"name": ["src_1"]}).to_csv(tmp_path / "c.csv", index=False)
    with pytest.raises(InputError, match="a column 'kind'"):
        load_folder(folder, catalogue=tmp_path / "c.csv", label_column="kind", options=OPTIONS)


def test_positions_in_file_names_serve_where_the_header_has_none(tmp_path):
    folder = tmp_path / "named"
    folder.mkdir()
    for name in ("100_170.500+012.300", "200_180.123-01.234", "9_other"):
        Image.fromarray(np.eye(6, dtype=np.uint8)).save(folder / f"{name}.png")
    write_fits(folder / "7_180.123-01.234.fits", 0, size=6)  # its header has ra 150, dec -2.5
    rows = {"RA": [180.123, 170.5, 150.0], "DEC": [-1.234, 12.3, -2.5], "kind": ["FRII", "FRI", "bent"]}
    pd.DataFrame(rows).to_csv(tmp_path / "c.csv", index=False)
    catalogue = {"catalogue": tmp_path / "c.csv", "label_column": "kind", "match": "position"}
    images = load_folder(folder, **catalogue, options=FolderOptions(size=6))
    assert images.source_id_N.tolist() == ["100_170.500+012.300", "200_180.123-01.234", "7_180.123-01.234", "9_other"]
    assert [images.class_names[k] if k >= 0 else None for k in images.label_N] == ["FRI", "FRII", "bent", None]
    np.testing.assert_allclose(images.position_deg_N2[0], [170.5, 12.3])


@pytest.mark.filterwarnings("ignore:File may have been truncated")
def test_bad_files_are_listed_and_the_good_ones_loaded(folder, tmp_path):
    (folder / "src_2.fits").write_bytes((folder / "src_2.fits").read_bytes()[:3000])
    fits.PrimaryHDU(np.full((40, 40), np.nan)).writeto(folder / "src_4.fits", overwrite=True)
    (folder / "src_9.png").write_bytes(b"damaged")
    images = load_folder(folder, options=OPTIONS, bad_list=tmp_path / "bad.txt")
    assert images.source_id_N.tolist() == ["src_0", "src_1", "src_3", "src_5"]
    lines = (tmp_path / "bad.txt").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["src_2.fits", "src_4.fits", "src_9.png"]
    assert "readable FITS" in lines[0] and "NaN in all" in lines[1] and "readable image" in lines[2]
    for path in folder.glob("*.fits"):
        path.write_bytes(b"x")
    with pytest.raises(DataError, match="a usable image, got none of 7"):
        load_folder(folder, options=OPTIONS)


def test_bad_files_of_the_registered_dataset_are_named_in_one_line(tmp_path, caplog, monkeypatch):
    note.cache_clear()
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(3):
        Image.fromarray(np.arange(100, dtype=np.uint8).reshape(10, 10) + i).save(folder / f"{i}.png")
    (folder / "8.png").write_bytes(b"damaged")
    (folder / "9.png").write_bytes((folder / "1.png").read_bytes()[:40])
    for _ in range(2):  # the second time from the cache: a grid loads its data once per run
        assert len(load_data("folder", tmp_path, params={"path": "pictures"}, image_size=5).train) == 3
    listed = next((tmp_path / "cache").glob("bad_files_*.txt"))
    assert [line.split("\t")[0] for line in listed.read_text().splitlines()] == ["8.png", "9.png"]
    assert len(caplog.messages) == 1 and caplog.records[0].name == "equirgz"
    line = caplog.messages[0]
    assert line.startswith(f"{folder}: left out 2 files, e.g. 8.png: ") and line.endswith(f"; listed in {listed}")
    assert "\n" not in line
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EQUIRGZ_CACHE", str(tmp_path / "file" / "cache"))
    assert len(load_data("folder", tmp_path, params={"path": "pictures"}, image_size=5).train) == 3
    assert "left out 2 files" in caplog.messages[1] and "; not listed: " in caplog.messages[1]


def test_cache_is_keyed_by_content_and_survives_damage(folder, tmp_path, monkeypatch):
    first = load_folder(folder, options=OPTIONS)
    entries = list((tmp_path / "cache").glob("*.npz"))
    assert len(entries) == 1 and not list((tmp_path / "cache").glob(".*"))
    from equirgz.data.formats import image_folder as module

    monkeypatch.setattr(module, "read_files", lambda *a: pytest.fail("read again"))
    assert load_folder(folder, options=OPTIONS).checksum == first.checksum
    monkeypatch.undo()
    monkeypatch.setenv("EQUIRGZ_CACHE", str(tmp_path / "cache"))
    entries[0].write_bytes(entries[0].read_bytes()[:1000])
    assert load_folder(folder, options=OPTIONS).checksum == first.checksum
    write_fits(folder / "src_9.fits", 9)
    assert len(load_folder(folder, options=OPTIONS)) == 7 and len(list((tmp_path / "cache").glob("*.npz"))) == 2
    load_folder(folder, options=FolderOptions(size=18))
    assert len(list((tmp_path / "cache").glob("*.npz"))) == 3


def test_an_interrupted_reading_leaves_nothing_in_the_cache(folder, tmp_path):
    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_folder(folder, options=OPTIONS, progress=stop)
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())


def test_an_unwritable_cache_costs_only_speed(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EQUIRGZ_CACHE", str(tmp_path / "file" / "cache"))
    assert len(load_folder(folder, options=OPTIONS)) == 6


def test_progress_counts_every_file_whatever_the_number_of_threads(folder, tmp_path):
    seen = []
    one = load_folder(folder, options=OPTIONS, n_jobs=1, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 6) for i in range(1, 7)]
    many = load_folder(folder, options=FolderOptions(size=20, recipe="mirabest_f"), n_jobs=3)
    assert many.checksum == one.checksum


def test_maps_of_other_scales_are_brought_to_one(folder):
    write_fits(folder / "wide.fits", 7, size=30, scale=3.6)
    images = load_folder(folder, options=FolderOptions(size=20, pixel_scale_arcsec=1.8))
    assert images.pixel_scale_arcsec == 1.8 and images.image_NHW.shape == (7, 20, 20)
    rows, columns = np.nonzero(images.image_NHW[-1] > 100)
    assert len(rows) > 2 and abs(rows.mean() - 9.5) < 1.5 and abs(columns.mean() - 9.5) < 1.5


def test_pictures_in_class_folders_are_labelled_by_their_folder(tmp_path):
    folder = tmp_path / "pictures"
    pixels = {}
    for kind in ("spiral", "smooth"):
        (folder / kind).mkdir(parents=True)
        for i in range(3):
            pixels[kind, i] = np.random.default_rng(i).integers(0, 256, (10, 10), dtype=np.uint8)
            Image.fromarray(pixels[kind, i]).save(folder / kind / f"{i}.png")
    images = load_folder(folder)
    assert images.class_names == ("smooth", "spiral") and images.label_N.tolist() == [0, 0, 0, 1, 1, 1]
    assert (images.image_NHW[4] == pixels["spiral", 1]).all() and len(set(images.source_id_N)) == 6
    data = load_data("folder", tmp_path, params={"path": "pictures", "test_fraction": 0.5}, image_size=5)
    assert len(data.train) == 4 and len(data.tests["test"]) == 2  # the classes hold the same three images
    Image.fromarray(np.eye(4, dtype=np.uint8)).save(folder / "smooth" / "small.png")
    assert len(load_folder(folder)) == 6 and len(load_folder(folder, options=FolderOptions(size=10))) == 7


def test_colour_pictures_keep_three_channels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert (load_folder(tmp_path).image_NHW[0] == np.moveaxis(pixels, 2, 0)).all()
    assert load_folder(tmp_path, options=FolderOptions(colour=False)).image_NHW.shape == (1, 6, 6)


def test_crop_and_pad_keep_the_centre():
    image = np.zeros((9, 9))
    image[4, 4] = 1
    assert fit_size(image, 5)[2, 2] == 1 and fit_size(image, 15)[7, 7] == 1
    wide = fit_size(np.ones((2, 3, 9)), 5, fill=np.nan)
    assert wide.shape == (2, 5, 5) and np.isnan(wide[:, 0]).all() and (wide[:, 1:4] == 1).all()


def test_missing_and_empty_folders_are_named(tmp_path):
    with pytest.raises(DataError, match="a folder of images, got none there"):
        load_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"files ending in \.fits"):
        load_folder(tmp_path)
    with pytest.raises(InputError, match=r"params\.path"):
        load_data("folder", tmp_path)


def test_real_fits_folder(data_root):
    images = load_folder(data_root / "fits")
    assert len(images) == 23 and images.image_NHW.shape == (23, 150, 150)
    assert images.table["n_nan"].gt(0).sum() == 2 and images.pixel_scale_arcsec == pytest.approx(1.8)
    from equirgz.data.sets.mirabest import load_mirabest

    published = {}
    for part in load_mirabest(data_root):
        published |= dict(zip(part.source_id_N.tolist(), part.image_NHW, strict=True))
    both = [(s, x) for s, x in zip(images.source_id_N, images.image_NHW, strict=True) if s in published]
    same = [(published[s] == x).all() for s, x in both]
    assert sum(same) == 21 and len(same) == 22


def test_maps_of_several_scales_are_resampled_to_one_or_refused(folder):
    write_fits(folder / "src_7.fits", 7, scale=3.0)
    with pytest.raises(InputError, match=r"pixel scale in all, got 1\.8 arcsec \(src_0\.fits\) and 3 arcsec \(src_7"):
        load_folder(folder, options=OPTIONS)
    images = load_folder(folder, options=FolderOptions(size=20, pixel_scale_arcsec=1.8))
    assert len(images) == 7 and images.pixel_scale_arcsec == 1.8
    with fits.open(folder / "src_7.fits", mode="update") as file:
        file[0].header["BUNIT"] = "K"
    with pytest.raises(InputError, match="the same unit in all"):
        load_folder(folder, options=FolderOptions(size=20, pixel_scale_arcsec=1.8))


def test_pictures_have_the_scale_that_is_declared(tmp_path):
    (tmp_path / "p").mkdir()
    Image.fromarray(np.arange(100, dtype=np.uint8).reshape(10, 10)).save(tmp_path / "p" / "a.png")
    assert np.isnan(load_folder(tmp_path / "p").pixel_scale_arcsec)
    data = load_data("folder", tmp_path, params={"path": "p", "pixel_scale_arcsec": 1.8}, image_size=5)
    assert data.train.pixel_scale_arcsec == pytest.approx(3.6)


def test_reading_reports_to_whoever_watches(folder):
    seen = []
    with watch_loading(lambda done, total: seen.append((done, total))):
        load_folder(folder, options=OPTIONS)
    assert seen == [(k, 6) for k in range(1, 7)]
    load_folder(folder, options=FolderOptions(size=10))
    assert len(seen) == 6
