import collections
import io
import os
import pickle
import tarfile
import zipfile

import numpy as np
import pytest

from equirgz.data.formats.archive import iterate_members, load_pickle
from equirgz.data.formats.pickled_batches import join_batches, read_batches
from equirgz.data.root import compute_md5
from equirgz.errors import DataError


def make_batch(n=3, start=0, **extra):
    rng = np.random.default_rng(start)
    return {
        "batch_label": "a batch",
        "labels": [0, 1, 1][:n],
        "data": [rng.integers(0, 256, (5, 5), dtype=np.uint8) for _ in range(n)],
        "filenames": [np.str_(f"{start + i:03d}.png") for i in range(n)],
        **extra,
    }


def write_tar(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("protocol", range(2, 6))
def test_arrays_survive_every_pickle_protocol(protocol):
    batch = make_batch()
    loaded = load_pickle(pickle.dumps(batch, protocol=protocol), "batch")
    assert loaded["labels"] == batch["labels"] and loaded["filenames"] == batch["filenames"]
    assert all((a == b).all() for a, b in zip(loaded["data"], batch["data"], strict=True))


def test_batches_are_read_in_numerical_order(tmp_path):
    members = {f"set/data_batch_{k}": pickle.dumps(make_batch(start=100 * k), protocol=2) for k in (10, 9, 1)}
    members["set/test_batch"] = pickle.dumps(make_batch(2), protocol=2)
    members["set/readme.txt"] = b"nothing"
    path = write_tar(tmp_path / "set.tar.gz", members)
    batches = read_batches(path, compute_md5(path))
    assert list(batches) == ["data_batch_1", "data_batch_9", "data_batch_10", "test_batch"]
    train, test = join_batches(batches, test=False), join_batches(batches, test=True)
    assert train["data"].shape == (9, 5, 5) and test["data"].shape == (2, 5, 5)
    assert train["filenames"][3] == "900.png" and train["batch_name"][-1] == "data_batch_10"


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_a_pickle_that_calls_anything_is_refused_before_it_acts(tmp_path):
    marker = tmp_path / "hacked"
    content = pickle.dumps(make_batch(data=[Evil(marker)]), protocol=2)
    with pytest.raises(DataError, match=r"got (posix|nt)\.mkdir.*hostile"):
        load_pickle(content, "bad")
    assert not marker.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cnumpy.core.multiarray\nfromfile\n.",
        pickle.dumps(collections.OrderedDict(a=1)),
    ],
)
def test_other_references_are_refused(content):
    with pytest.raises(DataError, match="numpy arrays only"):
        load_pickle(content, "bad")


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps(make_batch())[:-40]])
def test_damaged_pickles_are_named(content):
    with pytest.raises(DataError, match="^bad: expected"):
        load_pickle(content, "bad")


@pytest.mark.parametrize("name", ["../up", "/etc/absolute", "a/../../b", "C:\\windows", "..\\up"])
def test_archives_that_climb_out_of_their_folder_are_refused(tmp_path, name):
    for path in (write_tar(tmp_path / "a.tar", {name: b"x"}, "w"), tmp_path / "a.zip"):
        if path.suffix == ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr(name, b"x")
        with pytest.raises(DataError, match="hostile"):
            list(iterate_members(path))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("data_batch_1")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(DataError, match="link or device"):
        list(iterate_members(path))


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_truncated_archives_are_named(tmp_path, keep):
    noise = np.random.default_rng(0).bytes(50_000)
    path = write_tar(tmp_path / "a.tar.gz", {"data_batch_1": noise, "test_batch": noise})
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(DataError, match="truncated or damaged"):
        list(iterate_members(path))
    whole = tmp_path / "a.zip"
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("x", noise)
    whole.write_bytes(whole.read_bytes()[: int(keep * 50_000)])
    with pytest.raises(DataError, match="truncated or damaged"):
        list(iterate_members(whole))


def test_wrong_md5_says_expected_and_found(tmp_path):
    path = write_tar(tmp_path / "a.tar.gz", {"data_batch_1": b"x"})
    with pytest.raises(DataError, match=f"expected {'0' * 32}, got {compute_md5(path)}; .*fetch it again"):
        read_batches(path, "0" * 32)


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        ([1, 2], "a mapping with the key 'data'"),
        (make_batch(labels=[0]), "'labels': expected 3, got 1"),
        (make_batch(data=[np.zeros((2, 2), np.uint8), np.zeros((3, 3), np.uint8)]), "one shape"),
        (make_batch(data=[np.zeros((2, 2))] * 3), "uint8"),
    ],
)
def test_misshapen_batches_are_named(tmp_path, batch, expected):
    path = write_tar(tmp_path / "a.tar", {"data_batch_1": pickle.dumps(batch)}, "w")
    with pytest.raises(DataError, match=expected):
        read_batches(path)
