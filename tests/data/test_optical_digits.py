import gzip
import pickle

import h5py
import numpy as np
import pandas as pd
import pytest

from equirgz.data import load_data
from equirgz.data.facts import SETS
from equirgz.data.imageset import ImageSet
from equirgz.data.sets.mnist import load_mnist_m, read_idx
from equirgz.errors import DataError, InputError
from tests.data.test_containers import encode

RNG = np.random.default_rng(0)
PLAIN = {"stretch": "linear", "mask": False, "normalise": False}


def write_galaxy_mnist(folder):
    pixels = {}
    for part, n in (("train", 12), ("test", 8)):
        pixels[part] = RNG.integers(0, 256, (n, 16, 16, 3), dtype=np.uint8)
        path = folder / f"{part}.h5"
        with h5py.File(path, "w") as file:
            file["images"], file["labels"] = pixels[part], np.arange(n) % 4
        (folder / f"{part}_dataset.hdf5.gz").write_bytes(gzip.compress(path.read_bytes()))
    return pixels


def test_galaxy_mnist_round_trip_in_colour(tmp_path):
    pixels = write_galaxy_mnist(tmp_path)
    data = load_data("galaxy_mnist", tmp_path, image_size=16, **PLAIN)
    expected = np.moveaxis(pixels["train"], 3, 1).astype(np.float32) / 255
    np.testing.assert_allclose(data.train.image_NHW, expected, atol=1e-6)
    assert data.train.n_channels == 3 and data.train.x_NCHW.shape == (12, 3, 16, 16)
    assert data.train.class_counts() == dict.fromkeys(data.train.class_names, 3) and len(data.tests["test"]) == 8
    small = load_data("galaxy_mnist", tmp_path, image_size=8, params={"size": 8}, **PLAIN)
    block = expected.reshape(12, 3, 8, 2, 8, 2).mean((3, 5))
    np.testing.assert_allclose(small.train.image_NHW, block, atol=0.5 / 255 + 1e-6)


def test_galaxy10_round_trip_with_positions(tmp_path, monkeypatch):
    info = SETS["galaxy10_decals"]
    with h5py.File(tmp_path / info.filename, "w") as file:
        file["images"] = RNG.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
        file["ans"] = (np.arange(40) % 10).astype(np.uint8)
        file["ra"], file["dec"], file["redshift"] = np.arange(40.0), -np.arange(40.0), np.full(40, 0.1)
        file["pxscale"] = np.full(40, 0.262)
    with pytest.raises(DataError, match="sha256: expected 19aefc47"):
        load_data("galaxy10", tmp_path)
    monkeypatch.setitem(SETS, "galaxy10_decals", type(info)(**{**vars(info), "sha256": None}))
    data = load_data("galaxy10", tmp_path, params={"size": 8}, image_size=8)
    assert len(data.train) == 32 and len(data.tests["test"]) == 8 and data.train.image_NHW.shape == (32, 3, 8, 8)
    ids = np.concatenate([data.train.source_id_N, data.tests["test"].source_id_N])
    assert len(set(ids)) == 40 and (data.train.position_deg_N2[:, 0] == -data.train.position_deg_N2[:, 1]).all()
    assert {"redshift", "pxscale"} <= set(data.train.table)


def test_gz_evo_shards_round_trip(tmp_path):
    folder = tmp_path / "gz_evo"
    folder.mkdir()
    pixels = RNG.integers(0, 256, (10, 12, 12, 3), dtype=np.uint8)
    for shard in range(2):
        part = pixels[5 * shard : 5 * shard + 5]
        pd.DataFrame(
            {
                "image": [{"bytes": encode(x), "path": None} for x in part],
                "id_str": [f"gz{5 * shard + i}" for i in range(5)],
                "summary": [("smooth", "spiral")[i % 2] for i in range(5)],
            }
        ).to_parquet(folder / f"train-{shard:05d}-of-00002.parquet")
    params = {"label_column": "summary", "size": 12, "test_fraction": 0.3}
    data = load_data("gz_evo", tmp_path, params=params, image_size=12, **PLAIN)
    assert len(data.train) == 7 and len(data.tests["test"]) == 3 and data.train.class_names == ("smooth", "spiral")
    place = int(data.train.source_id_N[0].removeprefix("gz"))
    np.testing.assert_allclose(data.train.image_NHW[0], np.moveaxis(pixels[place], 2, 0) / 255, atol=1e-6)
    unlabelled = load_data("gz_evo", tmp_path, params={"size": 6}, image_size=6)
    assert len(unlabelled.train) == 10 and unlabelled.tests == {} and unlabelled.train.n_classes == 0


def test_damaged_optical_files_are_named(tmp_path):
    write_galaxy_mnist(tmp_path)
    path = tmp_path / "train_dataset.hdf5.gz"
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"nothing"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="train_dataset"):
            load_data("galaxy_mnist", tmp_path)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["images"], file["labels"] = np.zeros((2, 4, 4), np.uint8), [0, 1]
    path.write_bytes(gzip.compress((tmp_path / "x.h5").read_bytes()))
    with pytest.raises(DataError, match=r"expected \(N, S, S, 3\), got \(2, 4, 4\)"):
        load_data("galaxy_mnist", tmp_path)


def test_digits_are_there_without_any_file(tmp_path):
    data = load_data("digits", tmp_path, image_size=8, **PLAIN)
    assert len(data.train) + len(data.tests["test"]) == 1797 and data.train.n_classes == 10
    assert data.train.image_NHW.max() == 1 and not set(data.train.source_id_N) & set(data.tests["test"].source_id_N)
    with pytest.raises(InputError, match="0 <= fraction < 1"):
        load_data("digits", params={"test_fraction": 1.0})


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    content = header + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture
def mnist_root(tmp_path):
    arrays = {}
    for part, stem, n in (("train", "train", 20), ("test", "t10k", 10)):
        arrays[part] = RNG.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        write_idx(tmp_path / f"{stem}-images-idx3-ubyte.gz", arrays[part])
        write_idx(tmp_path / f"{stem}-labels-idx1-ubyte", np.arange(n) % 10)
    return tmp_path, arrays


def test_mnist_round_trip(mnist_root):
    root, arrays = mnist_root
    data = load_data("mnist", root, image_size=28, **PLAIN)
    np.testing.assert_allclose(data.train.image_NHW, arrays["train"] / 255, atol=1e-6)
    assert data.tests["test"].label_N.tolist() == list(range(10))


@pytest.mark.parametrize("valid", [False, True])
def test_mnist_m_takes_the_labels_of_mnist(mnist_root, valid):
    root, _ = mnist_root
    train, test = RNG.integers(0, 256, (20, 28, 28, 3), dtype=np.uint8), np.zeros((10, 28, 28, 3), np.uint8)
    fields = {"train": train[:15], "valid": train[15:], "test": test} if valid else {"train": train, "test": test}
    (root / "keras_mnistm.pkl.gz").write_bytes(gzip.compress(pickle.dumps(fields, protocol=2)))
    data = load_data("mnist_m", root, image_size=28, **PLAIN)
    np.testing.assert_allclose(data.train.image_NHW, np.moveaxis(train, 3, 1) / 255, atol=1e-6)
    assert data.train.label_N.tolist() == (np.arange(20) % 10).tolist() and data.train.n_channels == 3


def test_damaged_digit_files_are_named(mnist_root):
    root, _ = mnist_root
    labelled = ImageSet("m", np.zeros((3, 4, 4), np.uint8), [0, 1, 2], ["a", "b", "c"], tuple("012"))
    bad = root / "bad.pkl"
    bad.write_bytes(pickle.dumps({"train": np.zeros((2, 4, 4, 3), np.uint8), "test": np.zeros((3, 4, 4, 3), np.uint8)}))
    with pytest.raises(DataError, match=r"train: expected \(3, S, S, 3\) uint8, got \(2, 4, 4, 3\)"):
        load_mnist_m(bad, {"train": labelled})
    for content, expected in (
        (b"\x00\x00\x08\x03\x00\x00\x00\x02", "12 bytes for the shape, got 4"),
        (b"\x00\x00\x09\x01", "unsigned bytes"),
        (b"\x1f\x8b\x08damaged", "damaged"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x05ab", "expected 5 bytes"),
    ):
        path = root / "x-idx"
        path.write_bytes(content)
        with pytest.raises(DataError, match=expected):
            read_idx(path)
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte.gz: expected in the data root"):
        (root / "t10k-images-idx3-ubyte.gz").unlink()
        load_data("mnist", root)
