"""Colour images of galaxies with whole-number labels in one HDF5 file, plain or gzipped.

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

from equirgz.data.formats.containers import shrink
from equirgz.data.imageset import ImageSet
from equirgz.errors import DataError
from equirgz.paths import as_path

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
