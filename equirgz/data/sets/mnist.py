"""Digits for checks of methods: MNIST (idx files) and MNIST-M (a pickle, labelled by MNIST)."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from equirgz.data.datasets import DATASETS
from equirgz.data.facts import SETS, SetInfo, publish
from equirgz.data.formats.archive import load_pickle
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.root import data_root, find_file
from equirgz.errors import DataError

publish(
    SetInfo(
        "mnist",
        "MNIST: 60000 train and 10000 test digits, 28 px",
        "train-images-idx3-ubyte.gz",
        None,
        None,
        None,
        "LeCun, Bottou, Bengio & Haffner 1998, Proc. IEEE 86, 2278",
        ("mnist",),
        notes="The first of four idx files, all in the data root, .gz or not, or in MNIST/raw. No address, md5 "
        "or licence of its authors was verified.",
    )
)
publish(
    SetInfo(
        "mnist_m",
        "MNIST-M: digits blended with photographs, 28 px, colour",
        "keras_mnistm.pkl.gz",
        None,
        "https://github.com/VanushVaswani/keras_mnistm/releases/download/1.0/keras_mnistm.pkl.gz",
        "see its authors",
        "Ganin et al. 2016, JMLR 17, arXiv 1505.07818",
        ("mnist_m",),
        notes="Images only: the labels are those of MNIST, which must lie in the data root too.",
    )
)
DIGITS = tuple("0123456789")
_MNIST_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def read_idx(path: Path) -> np.ndarray:
    """Read an idx file of unsigned bytes, plain or gzipped: magic 0, 0, 8, ndim, big-endian sizes, data."""
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: expected a whole idx file, got a damaged one ({error}); fetch it again") from error
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise DataError(str(path), expected="an idx file of unsigned bytes", got=repr(content[:4]))
    ndim = content[3]
    if len(content) < 4 + 4 * ndim:
        raise DataError(str(path), expected=f"{4 * ndim} bytes for the shape", got=len(content) - 4)
    shape = tuple(np.frombuffer(content, ">u4", ndim, 4).tolist())
    data = np.frombuffer(content, np.uint8, offset=4 + 4 * ndim)
    if len(data) != int(np.prod(shape)):
        raise DataError(str(path), expected=f"{int(np.prod(shape))} bytes for shape {shape}", got=len(data))
    return data.reshape(shape)


def _find_idx(stem: str, root: Path) -> Path:
    for folder in (root, root / "MNIST" / "raw", root / "mnist"):
        for ending in ("", ".gz"):
            if (folder / (stem + ending)).is_file():
                return folder / (stem + ending)
    return find_file(stem + ".gz", root)


def load_mnist(root: Path, part: str) -> ImageSet:
    """Read one part (train, test) of MNIST from the four published files."""
    images, labels = (read_idx(_find_idx(stem, root)) for stem in _MNIST_FILES[part])
    if images.ndim != 3 or labels.shape != (len(images),):
        raise DataError(
            f"MNIST {part}", expected="images (N, H, W) and N labels", got=f"{images.shape} and {labels.shape}"
        )
    ids = np.array([f"mnist_{part}_{i:05d}" for i in range(len(images))])
    return ImageSet(f"mnist/{part}", images, labels, ids, DIGITS, of_sky=False)


@DATASETS.register("mnist")
def mnist(data_dir: Path | None = None, /) -> Data:
    """MNIST: 60000 train and 10000 test digits of 28 px, from the idx files."""
    root = data_root(data_dir)
    return Data(load_mnist(root, "train"), {"test": load_mnist(root, "test")})


def load_mnist_m(path: Path, mnist_parts: dict[str, ImageSet]) -> dict[str, ImageSet]:
    """Read the pickle of MNIST-M (arrays train, test and perhaps valid of (N, 28, 28, 3) uint8).

    The images carry no labels of their own: they are those of MNIST in the same order, where
    ``train`` followed by ``valid`` makes up MNIST's train part. Raises DataError for other lengths.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: expected a whole pickle, got a damaged one ({error}); fetch it again") from error
    fields = load_pickle(content, str(path))
    if not isinstance(fields, dict) or not {"train", "test"} <= set(fields):
        raise DataError(str(path), expected="a mapping with train and test", got=type(fields).__name__)
    parts = {}
    for part, labelled in mnist_parts.items():
        arrays = [np.asarray(fields[part])]
        if part == "train" and "valid" in fields and len(arrays[0]) < len(labelled):
            arrays.append(np.asarray(fields["valid"]))
        images = np.concatenate(arrays)
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8 or len(images) != len(labelled):
            raise DataError(
                f"{path}: {part}", expected=f"({len(labelled)}, S, S, 3) uint8", got=f"{images.shape} {images.dtype}"
            )
        ids = np.array([name.replace("mnist", "mnist_m") for name in labelled.source_id_N])
        image_NCHW = np.moveaxis(images, 3, 1)
        parts[part] = ImageSet(f"mnist_m/{part}", image_NCHW, labelled.label_N, ids, DIGITS, of_sky=False)
    return parts


@DATASETS.register("mnist_m")
def mnist_m(data_dir: Path | None = None, /) -> Data:
    """MNIST-M in colour, labelled by MNIST, whose files must lie in the data root too."""
    root = data_root(data_dir)
    path = find_file(SETS["mnist_m"].filename, root)
    parts = load_mnist_m(path, {part: load_mnist(root, part) for part in ("train", "test")})
    return Data(parts["train"], {"test": parts["test"]})
