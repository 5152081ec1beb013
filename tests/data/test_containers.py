import io

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy.table import Table
from PIL import Image

from equirgz.data.catalogues.labels import encode_labels
from equirgz.data.datasets import DATASETS
from equirgz.data.formats.containers import load_hdf5, load_parquet
from equirgz.data.formats.pictures import decode_image
from equirgz.data.own.folder_or_file import load_images
from equirgz.errors import DataError, InputError
from tests.data.writers import make_pixels


def encode(pixels, kind="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=kind)
    return buffer.getvalue()


def test_hdf5_round_trip(tmp_path):
    pixels = make_pixels(5)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"], file["labels"], file["ra"], file["dec"] = (
            pixels,
            [0, 1, 2, 0, -1],
            np.arange(5.0),
            np.ones(5),
        )
        file["name"] = ["a", "b", "c", "d", "e"]
    images = load_images(tmp_path / "a.h5", pixel_scale_arcsec=2.0)
    assert (images.image_NHW == pixels).all() and images.source_id_N.tolist() == list("abcde")
    assert images.label_N.tolist() == [0, 1, 2, 0, -1] and images.position_deg_N2[2].tolist() == [2, 1]
    (tmp_path / "b.h5").write_bytes((tmp_path / "a.h5").read_bytes()[:300])
    with pytest.raises(DataError, match="readable HDF5"):
        load_hdf5(tmp_path / "b.h5")
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["cubes"] = pixels
    with pytest.raises(DataError, match="an array named X"):
        load_hdf5(tmp_path / "c.h5")


@pytest.mark.parametrize("form", ["bytes", "mapping", "lists"])
def test_parquet_round_trip(tmp_path, form):
    pixels = make_pixels(4)
    column = {
        "bytes": [encode(x) for x in pixels],
        "mapping": [{"bytes": encode(x), "path": "x"} for x in pixels],
        "lists": [x.tolist() for x in pixels],
    }[form]
    table = pd.DataFrame(
        {
            "image": column,
            "source_id": list("wxyz"),
            "ra": np.arange(4.0),
            "dec": np.zeros(4),
            "kind": ["FRI", "FRII", None, "FRI"],
        }
    )
    table.to_parquet(tmp_path / "a.parquet")
    images = load_parquet(tmp_path / "a.parquet", label_column="kind", pixel_scale_arcsec=1.8)
    assert (images.image_NHW == pixels).all() and images.label_N.tolist() == [0, 1, -1, 0]
    assert images.source_id_N.tolist() == list("wxyz") and images.position_deg_N2[3].tolist() == [3, 0]
    assert load_images(tmp_path / "a.parquet", size=3).image_NHW.shape == (4, 3, 3)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"pixels": [b"x"]}, "a column 'image'"),
        ({"image": [b"not a picture"]}, "row 0: expected a readable image"),
        ({"image": ["text"]}, "encoded image or rows"),
        (
            {"image": [encode(np.eye(2, dtype=np.uint8)), encode(np.eye(3, dtype=np.uint8))]},
            "one shape and type.*set size",
        ),
    ],
)
def test_bad_parquet_files_are_named(tmp_path, table, expected):
    pd.DataFrame(table).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=expected):
        load_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 damaged")
    with pytest.raises(DataError, match="readable Parquet"):
        load_parquet(tmp_path / "b.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="a folder of them"):
        load_parquet(tmp_path / "empty")


@pytest.mark.parametrize("form", ["npz", "h5", "parquet"])
def test_pixels_are_bytes_or_shares_of_one_and_nothing_else(tmp_path, form):
    path = tmp_path / f"a.{form}"

    def write(pixels):
        if form == "npz":
            np.savez(path, X=pixels)
        elif form == "h5":
            with h5py.File(path, "w") as file:
                file["X"] = pixels
        else:
            pd.DataFrame({"image": [image.tolist() for image in pixels]}).to_parquet(path)
        return load_images(path).image_NHW

    pixels = make_pixels(3)
    for dtype in (np.uint8, np.uint16, np.int64):
        read = write(pixels.astype(dtype))
        assert read.dtype == np.uint8 and (read == pixels).all()
    read = write(pixels / 255)
    assert read.dtype == np.float32 and np.allclose(read, pixels / 255, atol=1e-7)
    colour = np.stack([pixels, pixels], 1)
    assert (write(colour) == colour).all()
    for wrong, got in (
        (pixels.astype(np.uint16) + 40000, "from 4"),
        (pixels.astype(np.int64) - 300, "int64 from -"),
        (pixels * 10.0, "float64 from [0-9]"),
        (pixels / 255 - 0.5, "float64 from -0."),
    ):
        with pytest.raises(DataError, match=f"expected integers from 0 to 255 or floats from 0 to 1, got .*{got}"):
            write(wrong)


def test_rows_that_cannot_be_read_are_listed_and_the_others_kept(tmp_path):
    pixels = make_pixels(3)
    column = [encode(pixels[0]), b"damaged", encode(pixels[1]), None, encode(pixels[2])]
    table = pd.DataFrame({"image": column, "id": list("abcde"), "kind": ["x", "y", "x", "y", "z"]})
    table.to_parquet(tmp_path / "a.parquet")
    images = load_parquet(tmp_path / "a.parquet", label_column="kind", bad_list=tmp_path / "bad.txt")
    assert (images.image_NHW == pixels).all() and images.source_id_N.tolist() == list("ace")
    assert images.class_names == ("x", "z") and images.label_N.tolist() == [0, 0, 1]
    lines = (tmp_path / "bad.txt").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["a.parquet row 1", "a.parquet row 3"]
    pd.DataFrame({"image": [[[1, 2], [3]], [[1, 2], [3, 4]]]}).to_parquet(tmp_path / "b.parquet")
    assert load_parquet(tmp_path / "b.parquet").image_NHW.tolist() == [[[1, 2], [3, 4]]]
    table.iloc[:0].to_parquet(tmp_path / "c.parquet")
    with pytest.raises(DataError, match="expected rows with images, got none of 0"):
        load_parquet(tmp_path / "c.parquet")


@pytest.mark.parametrize("form", ["npz", "h5", "parquet"])
def test_sexagesimal_positions_are_read_and_others_refused(tmp_path, form):
    path, pixels = tmp_path / f"a.{form}", make_pixels(1)
    write_positions(path, pixels, {"ra": ["12:30:49.4"], "dec": ["+12:23:28"]})
    np.testing.assert_allclose(load_images(path).position_deg_N2, [[187.7058333, 12.3911111]])
    write_positions(path, pixels, {"ra": ["noon"], "dec": ["+12:23:28"]})
    with pytest.raises(DataError, match="ra: expected angles in degrees or sexagesimal, got 'noon'; write"):
        load_images(path)


def write_positions(path, pixels, columns):
    path.unlink(missing_ok=True)
    form = path.suffix[1:]
    if form == "npz":
        np.savez(path, X=pixels, **columns)
    elif form == "h5":
        with h5py.File(path, "w") as file:
            file["X"], file["ra"], file["dec"] = pixels, columns["ra"], columns["dec"]
    else:
        pd.DataFrame({"image": [pixels[0].tolist()], **columns}).to_parquet(path)


def test_pictures_of_every_mode_become_bytes():
    grey = make_pixels(1)[0]
    assert (decode_image(encode(grey), "a") == grey).all()
    assert (decode_image(encode(grey), "a", colour=True) == grey).all()
    colour = np.stack([grey, grey // 2, grey // 3], -1)
    assert (decode_image(encode(colour), "a") == np.moveaxis(colour, 2, 0)).all()
    assert decode_image(encode(colour), "a", colour=False).shape == grey.shape
    deep = grey.astype(np.uint16) * 257
    assert decode_image(encode(deep), "a").dtype == np.uint16 and (decode_image(encode(deep), "a") == deep).all()
    with pytest.raises(DataError, match="a: expected a readable image"):
        decode_image(encode(grey)[:40], "a")


def test_labels_are_integers_or_names():
    assert encode_labels(pd.Series([2, 0, 1]))[0].tolist() == [2, 0, 1]
    label, names = encode_labels(pd.Series([200, 100, -1, np.nan, 200]))
    assert label.tolist() == [1, 0, -1, -1, 1] and names == ("100", "200")
    assert encode_labels(pd.Series([1, 2]))[1] == ("1", "2")
    assert encode_labels(pd.Series([1.0, np.nan]), ("x", "y"))[0].tolist() == [1, -1]
    assert encode_labels(pd.Series([True, False]))[1] == ("0", "1")
    assert encode_labels(pd.Series([], dtype=float))[1] == ()
    label, names = encode_labels(pd.Series(["b", "a", None, "b"]))
    assert label.tolist() == [1, 0, -1, 1] and names == ("a", "b")
    assert encode_labels(pd.Series([b"b", b"", b"a"]), ("b", "a"))[0].tolist() == [0, -1, 1]
    for values, class_names, expected in (
        ([0.5, 1.5], (), "t: expected names of classes or whole numbers, got continuous numbers such as 0.5"),
        ([0, -2], (), "t: expected labels of 0 or more, or -1 for none, got -2"),
        ([0, 2], ("x", "y"), r"t: expected labels up to 1 \(x, y\), got 2"),
        (["x", "z"], ("x", "y"), "t: expected classes x, y, got z"),
    ):
        with pytest.raises(DataError, match=expected):
            encode_labels(pd.Series(values), class_names, "t")


def test_codes_of_every_kind_of_file_become_as_many_classes_as_there_are(tmp_path):
    pixels, codes = make_pixels(4, 8), [200, 100, -1, 200]
    np.savez(tmp_path / "a.npz", X=pixels, y=codes)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"], file["labels"] = pixels, codes
    pd.DataFrame({"image": [encode(x) for x in pixels], "code": codes}).to_parquet(tmp_path / "a.parquet")
    (tmp_path / "folder").mkdir()
    for i, image in enumerate(pixels):
        (tmp_path / "folder" / f"{i}.png").write_bytes(encode(image))
    pd.DataFrame({"id": range(4), "code": codes}).to_csv(tmp_path / "a.csv", index=False)
    options = {"label_column": "code"}
    for name, keywords in {
        "a.npz": {},
        "a.h5": {},
        "a.parquet": options,
        "folder": {**options, "catalogue": tmp_path / "a.csv"},
    }.items():
        images = load_images(tmp_path / name, **keywords)
        assert images.class_names == ("100", "200") and images.label_N.tolist() == [1, 0, -1, 1], name


def test_labels_in_words_and_a_test_file_with_fewer_classes(tmp_path):
    pixels = make_pixels(4)
    np.savez(tmp_path / "a.npz", X=pixels, y=["FRI", "FRII", "", "FRI"])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"], file["labels"] = pixels, ["FRI", "FRII", "", "FRI"]
    for name in ("a.npz", "a.h5"):
        images = load_images(tmp_path / name)
        assert images.class_names == ("FRI", "FRII") and images.label_N.tolist() == [0, 1, -1, 0]
    np.savez(tmp_path / "train.npz", X=pixels, y=[0, 1, 2, 1])
    np.savez(tmp_path / "test.npz", X=pixels[:2], y=[2, 1])
    data = DATASETS.create("npz", tmp_path, path="train.npz", test_path="test.npz")
    assert data.tests["test"].label_N.tolist() == [2, 1] and data.tests["test"].n_classes == 3
    np.savez(tmp_path / "b.npz", X=pixels, y=np.eye(4))
    with pytest.raises(DataError, match=r"y: expected one per image \(4\), got \(4, 4\)"):
        load_images(tmp_path / "b.npz")


def test_unknown_endings_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"got '\.zip'"):
        load_images(tmp_path / "a.zip")


@pytest.mark.parametrize("ending", ["npz", "h5", "parquet"])
@pytest.mark.parametrize("listed", ["c.csv", "c.fits", "c.vot"])
def test_the_dataset_folder_reads_a_file_with_its_catalogue(tmp_path, ending, listed):
    pixels, ids = make_pixels(6), [f"src{i}" for i in range(6)]
    path = tmp_path / f"a.{ending}"
    columns = {"name": ids, "kind": np.array([1, 2, 1, 2, 1, 2])}
    if ending == "npz":
        np.savez(path, X=pixels, **columns)
    elif ending == "h5":
        with h5py.File(path, "w") as file:
            file["X"], file["name"], file["kind"] = pixels, ids, columns["kind"]
    else:
        pd.DataFrame({"image": [x.tolist() for x in pixels], **columns}).to_parquet(path)
    rows = pd.DataFrame({"name": ids[::-1], "morphology": ["b", "a"] * 3, "ra": np.arange(6.0), "dec": np.zeros(6)})
    if listed == "c.csv":
        rows.to_csv(tmp_path / listed, index=False)
    else:
        Table.from_pandas(rows).write(tmp_path / listed, format={"c.fits": "fits", "c.vot": "votable"}[listed])
    params = {"path": path.name, "pixel_scale_arcsec": 2.0, "test_fraction": 1 / 3}
    data = DATASETS.create("folder", tmp_path, **params, catalogue=listed, label_column="morphology")
    train, test = data.train, data.tests["test"]
    assert len(train) == 4 and len(test) == 2 and train.pixel_scale_arcsec == 2.0
    both = train.joined(test, "both")
    order = np.argsort(both.source_id_N)
    assert (both.image_NHW[order] == pixels).all() and both.class_names == ("a", "b")
    assert both.label_N[order].tolist() == [0, 1] * 3
    assert both.position_deg_N2[order, 0].tolist() == [5, 4, 3, 2, 1, 0]
    data = DATASETS.create("folder", tmp_path, path=path.name, label_column="kind")
    assert data.train.class_names == ("1", "2") and data.train.label_N.tolist() == [0, 1] * 3
    if ending != "parquet":
        with pytest.raises(InputError, match="expected no option size, got 3; the images are taken as they are"):
            DATASETS.create("folder", tmp_path, path=path.name, size=3)
