"""Optical Galaxy Zoo sets in colour: Galaxy MNIST, Galaxy10 DECaLS, GZ Evo.

Images become (N, 3, S, S) uint8; large ones are averaged down while they are read, so that memory
holds the small ones only.
"""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from equirgz.data.datasets import DATASETS
from equirgz.data.formats.containers import load_parquet, shrink
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.overlap.groups import GROUP, divide
from equirgz.data.root import check_sha256, find_file
from equirgz.data.sets.facts import SETS
from equirgz.data.splits.labelled import stratified_order
from equirgz.errors import DataError, require
from equirgz.paths import as_path

GALAXY_MNIST_CLASSES = ("smooth_round", "smooth_cigar", "edge_on_disk", "unbarred_spiral")
GALAXY10_CLASSES = (
    "disturbed",
    "merging",
    "round_smooth",
    "in_between_round_smooth",
    "cigar_smooth",
    "barred_spiral",
    "unbarred_tight_spiral",
    "unbarred_loose_spiral",
    "edge_on_without_bulge",
    "edge_on_with_bulge",
)
_BLOCK = 256


def load_galaxy_hdf5(
    path: Path | str,
    *,
    class_names: tuple[str, ...],
    labels: str,
    size: int | None = None,
    extras: tuple[str, ...] = (),
    name: str | None = None,
) -> ImageSet:
    """Read ``images`` (N, S, S, 3) uint8 and ``labels`` (N,) of an HDF5 file, plain or gzipped.

    ``size`` averages images down to (size, size). Columns ``ra`` and ``dec`` become positions,
    ``extras`` columns of the table. Raises DataError for a damaged or misshapen file.
    """
    import h5py

    path = as_path(path)
    try:
        source: Any = io.BytesIO(gzip.decompress(path.read_bytes())) if path.suffix == ".gz" else path
        with h5py.File(source, "r") as file:
            images = file["images"]
            if images.ndim != 4 or images.shape[3] != 3:
                raise DataError(f"{path}: images", expected="(N, S, S, 3)", got=images.shape)
            blocks = [
                shrink(np.moveaxis(images[start : start + _BLOCK], 3, 1), size)
                for start in range(0, len(images), _BLOCK)
            ]
            label_N = np.asarray(file[labels][()], dtype=np.int64)
            columns = {key: np.asarray(file[key][()]) for key in (*extras, "ra", "dec") if key in file}
    except (OSError, KeyError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path}: expected an HDF5 file with images and {labels}, got: {' '.join(str(error).split())}"
        ) from error
    position = np.stack([columns.pop("ra"), columns.pop("dec")], 1) if {"ra", "dec"} <= set(columns) else None
    n = len(label_N)
    stem = name or path.name.split(".")[0]
    return ImageSet(
        stem,
        np.concatenate(blocks),
        label_N,
        np.array([f"{stem}_{i:06d}" for i in range(n)]),
        class_names,
        position_deg_N2=position,
        table=pd.DataFrame(columns, index=range(n)),
    )


@DATASETS.register("galaxy_mnist")
def galaxy_mnist(data_dir: Path | None = None, /, size: int | None = None) -> Data:
    """Galaxy MNIST: 8000 train and 2000 test colour images of 64 px in four morphologies."""
    parts = {}
    for part in ("train", "test"):
        path = find_file(SETS[f"galaxy_mnist_{part}"].filename, data_dir)
        parts[part] = load_galaxy_hdf5(
            path, class_names=GALAXY_MNIST_CLASSES, labels="labels", size=size, name=f"galaxy_mnist_{part}"
        )
    return Data(parts["train"], {"test": parts["test"]})


@DATASETS.register("galaxy10")
def galaxy10(data_dir: Path | None = None, /, size: int = 64, test_fraction: float = 0.2, seed: int = 0) -> Data:
    """Galaxy10 DECaLS, averaged down to ``size`` px; the last ``test_fraction`` of a stratified order tests."""
    info = SETS["galaxy10_decals"]
    path = find_file(info.filename, data_dir)
    check_sha256(path, info.sha256)
    images = load_galaxy_hdf5(
        path,
        class_names=GALAXY10_CLASSES,
        labels="ans",
        size=size,
        extras=("redshift", "pxscale"),
        name="galaxy10",
    )
    return split_off_test(images, test_fraction, seed)


@DATASETS.register("gz_evo")
def gz_evo(
    data_dir: Path | None = None,
    /,
    path: str = "gz_evo",
    label_column: str | None = None,
    size: int = 64,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Data:
    """GZ Evo shards (Parquet with an ``image`` column of encoded images), by file or folder of shards."""
    from equirgz.data.root import data_root

    own = as_path(path)
    location = own if own.exists() else data_root(data_dir) / path
    images = load_parquet(location, label_column=label_column or "", size=size, name="gz_evo", colour=True)
    return Data(images, {}) if label_column is None else split_off_test(images, test_fraction, seed)


def split_off_test(images: ImageSet, test_fraction: float, seed: int) -> Data:
    """Return train and test parts of a set without a published split: one stratified order, last part tests.

    One's own images that show one source lie in one part (:func:`equirgz.data.overlap.groups.divide`).
    """
    require(0 <= test_fraction < 1, "test_fraction", expected="0 <= fraction < 1", got=test_fraction)
    order = stratified_order(images.label_N, seed)
    n_train = len(order) - round(test_fraction * len(order))
    if n_train == len(order):
        return Data(images.subset(np.arange(n_train), name=f"{images.name}/train"), {})
    pieces = [order[:n_train], order[n_train:]]
    if GROUP in images.table:
        pieces = divide(images, pieces, what="test_fraction")
    train, test = (
        images.subset(np.sort(piece), name=f"{images.name}/{part}")
        for piece, part in zip(pieces, ("train", "test"), strict=True)
    )
    return Data(train, {"test": test})
