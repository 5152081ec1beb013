"""Images inside one container: HDF5 and Parquet (``.npz``: see :mod:`equirgz.data.formats.npz`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from equirgz.data.catalogues.catalogue import (
    DEC_NAMES,
    ID_NAMES,
    RA_NAMES,
    find_column,
    get_ids,
    get_positions,
)
from equirgz.data.catalogues.join import choose_label_column
from equirgz.data.catalogues.labels import encode_labels
from equirgz.data.check.faults import refuse_blank
from equirgz.data.formats.levels import check_pixels, level_images
from equirgz.data.formats.npz import arrays_to_images
from equirgz.data.formats.pictures import decode_image
from equirgz.data.imageset import ImageSet, number_sources
from equirgz.data.notes import list_bad, note
from equirgz.data.preprocess import resample
from equirgz.errors import DataError, require_package
from equirgz.paths import as_path


def shrink(image_NCHW: np.ndarray, size: int | None) -> np.ndarray:
    """Return images averaged down to (size, size), bytes as bytes; unchanged where ``size`` is None or theirs."""
    if size is None or image_NCHW.shape[-1] == size == image_NCHW.shape[-2]:
        return np.ascontiguousarray(image_NCHW)
    small = resample(image_NCHW, size)
    return np.clip(np.round(small), 0, 255).astype(np.uint8) if image_NCHW.dtype == np.uint8 else small


def load_hdf5(
    path: Path | str,
    *,
    name: str | None = None,
    class_names: tuple[str, ...] = (),
    pixel_scale_arcsec: float = float("nan"),
    label_column: str | int | None = None,
    missing: tuple[str | int | float, ...] = (),
    white: float | None = None,
    bad_list: Path | str | None = None,
) -> ImageSet:
    """Read an HDF5 file whose top-level arrays have the names that an ``.npz`` would have.

    Raises DataError for a damaged file or one without an array of images.
    """
    import h5py

    path = as_path(path)
    try:
        with h5py.File(path, "r") as file:
            arrays = {key: _array(file[key]) for key in file if isinstance(file[key], h5py.Dataset)}
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected a readable HDF5 file, got: {' '.join(str(error).split())}") from error
    return arrays_to_images(
        arrays,
        str(path),
        name=name or path.stem,
        class_names=class_names,
        pixel_scale_arcsec=pixel_scale_arcsec,
        label_column=label_column,
        missing=missing,
        white=white,
        bad_list=bad_list,
    )


def _array(dataset: Any) -> np.ndarray:
    value = np.asarray(dataset[()])
    if value.dtype.kind in "SO":
        return np.array([v.decode() if isinstance(v, bytes) else str(v) for v in value.ravel()]).reshape(value.shape)
    return value


def load_parquet(
    path: Path | str,
    *,
    name: str | None = None,
    image_column: str = "image",
    label_column: str | int | None = None,
    missing: tuple[str | int | float, ...] = (),
    size: int | None = None,
    colour: bool | None = None,
    pixel_scale_arcsec: float = float("nan"),
    white: float | None = None,
    bad_list: Path | str | None = None,
) -> ImageSet:
    """Read images from a Parquet file, or from every ``*.parquet`` of a folder in the order of their names.

    ``image_column`` holds encoded images (bytes, or a mapping with ``bytes`` as data-set hubs write
    them) or nested lists of pixels: integers from 0 to 255 or floats in [0, 1]. ``label_column`` (default: the one
    of the usual names, :data:`LABEL_NAMES`) holds class names or integers. The other scalar
    columns go to the table, positions and ids are recognised by name. Rows whose image cannot be read, or shows one
    value alone, are left out and listed with the reason in ``bad_list``; by default in the cache, in a file that the
    logger ``equirgz`` names in one line. Raises DataError when none can be read, or for other pixels
    (:func:`~equirgz.data.formats.levels.check_pixels`, which takes ``white``). Needs the package pyarrow.
    """
    path = as_path(path)
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files or not files[0].exists():
        raise DataError(f"{path}: expected a .parquet file or a folder of them, got none")
    images, rows, tables, bad = [], [], [], {}
    for file in files:
        table = _read_parquet(file)
        if image_column not in table:
            raise DataError(f"{file}", expected=f"a column {image_column!r}", got=list(table.columns))
        good = []
        for i, value in enumerate(table.pop(image_column)):
            row = f"{file.name} row {i}"
            try:
                pixels = _pixels(value, row, colour)
                refuse_blank(pixels, row)
            except DataError as error:
                bad[row] = str(error)
                continue
            if isinstance(value, np.ndarray | list):
                pixels = check_pixels(pixels, f"{path}: {row}", white)
            images.append(shrink(pixels, size) if pixels.dtype == np.uint8 else pixels)
            rows.append(row)
            good.append(i)
        tables.append(table.iloc[good])
    leveled, faults, said = level_images(images, rows, white)
    for line in said:
        note(f"{path}: {line}")
    kept = [k for k, image in enumerate(leveled) if image is not None]
    images = [shrink(leveled[k], size) for k in kept]
    bad |= {rows[k]: reason for k, reason in faults.items()}
    if not images:
        reason = f"; e.g. {next(iter(bad.values()))}" if bad else ""
        raise DataError(f"{path}: expected rows with images, got none of {len(bad)}{reason}")
    if bad:
        list_bad(bad, path, bad_list, what="rows")
    kinds = {(image.shape, image.dtype.name) for image in images}
    if len(kinds) > 1:
        mend = "set size"
        raise DataError(str(path), expected="images of one shape and type", got=sorted(kinds)[:3], mend=mend)
    table = pd.concat(tables, ignore_index=True).iloc[kept].reset_index(drop=True)
    column, label_N, class_names = choose_label_column(table, label_column, str(path)), np.full(len(table), -1), ()
    if column is not None:
        label_N, class_names = encode_labels(table[column], source=f"{path}: {column}", missing=missing)
    placed = all(find_column(table, names) is not None for names in (RA_NAMES, DEC_NAMES))
    position = get_positions(table, source=str(path)) if placed else None
    stem = name or path.stem
    image_NHW = np.stack(images)
    ids = number_sources(stem, image_NHW) if find_column(table, ID_NAMES) is None else get_ids(table)
    return ImageSet(stem, image_NHW, label_N, ids, class_names, pixel_scale_arcsec, position, table)


def _read_parquet(file: Path) -> pd.DataFrame:
    require_package("pyarrow", f"{file}: Parquet files")
    try:
        return pd.read_parquet(file)
    except Exception as error:  # pyarrow raises kinds of its own for damaged files
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"{file}: expected a readable Parquet file, got: {reason}") from error


def _pixels(value: Any, source: str, colour: bool | None) -> np.ndarray:
    if isinstance(value, dict):
        value = value.get("bytes")
    if isinstance(value, bytes | bytearray):
        return decode_image(bytes(value), source, colour=colour)
    if isinstance(value, np.ndarray | list):
        try:
            pixels = np.array(_unfold(value))
        except ValueError:  # rows of several lengths
            raise DataError(source, expected="rows of equal length", got="several lengths") from None
        if pixels.ndim not in (2, 3):
            raise DataError(source, expected="pixels (H, W) or (C, H, W)", got=pixels.shape)
        return pixels
    raise DataError(source, expected="an encoded image or rows of pixels", got=type(value).__name__)


def _unfold(value: Any) -> Any:
    """Return nested lists and arrays of arrays, as Parquet gives them, as nested lists or one array of numbers."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value
    return [_unfold(v) for v in value] if isinstance(value, np.ndarray | list) else value
