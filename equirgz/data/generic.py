"""``folder`` and ``mosaic`` as registered datasets: your own images under one name."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from equirgz.data.catalogue import get_ids, get_positions, read_catalogue
from equirgz.data.containers import load_hdf5, load_parquet
from equirgz.data.datasets import DATASETS
from equirgz.data.folder import FolderOptions, load_folder
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.join import join_catalogue
from equirgz.data.labels import encode_labels
from equirgz.data.mosaic import cut_mosaics
from equirgz.data.notes import list_missing
from equirgz.data.npz import load_npz
from equirgz.data.optical import split_off_test
from equirgz.data.recipes import get_recipe
from equirgz.data.root import data_root
from equirgz.errors import DataError, InputError, explain


def load_images(path: Path | str, **keywords: Any) -> ImageSet:
    """Read images from wherever ``path`` points: a folder, an .npz, .h5/.hdf5 or .parquet file.

    Keywords go to the loader of that kind; an unknown ending, or a keyword of another kind, is an InputError.
    """
    path = Path(path)
    if path.is_dir():
        return (
            load_parquet(path, **keywords) if any(path.glob("*.parquet")) else load_folder(path, **keywords)
        )
    loaders = {".npz": load_npz, ".h5": load_hdf5, ".hdf5": load_hdf5, ".parquet": load_parquet}
    if path.suffix.lower() not in loaders:
        raise InputError(
            explain(str(path), expected="a folder, .npz, .h5, .hdf5 or .parquet", got=repr(path.suffix))
        )
    loader = loaders[path.suffix.lower()]
    unknown = sorted(set(keywords) - set(inspect.signature(loader).parameters))
    if unknown:
        mend = "the images are taken as they are; set data.image_size or data.crop"
        raise InputError(explain(str(path), expected=f"no option {unknown[0]}", got=keywords[unknown[0]], mend=mend))
    return loader(path, **keywords)


def label_by(images: ImageSet, column: str, source: str) -> ImageSet:
    """Return the images labelled by a column of their table; InputError, naming ``source``, where it has none."""
    if column not in images.table:
        raise InputError(explain(source, expected=f"a column {column!r}", got=list(images.table.columns)))
    label_N, class_names = encode_labels(images.table[column], source=f"{source}: {column}")
    return replace(images, label_N=label_N, class_names=class_names)


def load_mosaic(
    mosaics: list[Path],
    catalogue: Path | str,
    *,
    size: int | None = None,
    pixel_scale_arcsec: float | None = None,
    recipe: str = "mirabest_f",
    label_column: str | None = None,
    name: str = "mosaic",
    bad_list: Path | str | None = None,
) -> ImageSet:
    """Return the catalogued sources cut from the first mosaic that covers each, made by a named recipe.

    ``size`` pixels of ``pixel_scale_arcsec`` (default: the recipe's and the mosaic's). ``table`` keeps
    the catalogue's columns. Sources outside every mosaic, or mostly unobserved, are left out and listed with
    the reason in ``bad_list``; by default in the cache, in a file that the logger ``equirgz`` names in one
    line. Raises DataError when none is left.
    """
    rows = read_catalogue(catalogue)
    position, ids = get_positions(rows, source=str(catalogue)), get_ids(rows, prefix=name)
    options = FolderOptions(recipe, size, pixel_scale_arcsec)
    chosen = options.make_recipe()
    cut_size = size or chosen.size or get_recipe("mirabest_f").size
    cuts = cut_mosaics(mosaics, position, size=cut_size, pixel_scale_arcsec=pixel_scale_arcsec)
    list_missing(cuts.missing, ids, catalogue, bad_list)
    kept = cuts.index_N
    if not len(kept):
        reason = next(iter(cuts.missing.values()), "no source in the catalogue")
        raise DataError(
            f"{catalogue}: expected sources inside the mosaics, got none of {len(rows)}; e.g. {reason}"
        )
    images = ImageSet(
        name,
        chosen(cuts.image_NSS),
        np.full(len(kept), -1),
        ids[kept],
        (),
        cuts.pixel_scale_arcsec,
        position[kept],
        rows.iloc[kept],
    )
    return images if label_column is None else label_by(images, label_column, str(catalogue))


def _find(path: str, data_dir: Path | None) -> Path:
    return Path(path) if Path(path).exists() else data_root(data_dir) / path


@DATASETS.register("folder")
def folder(
    data_dir: Path | None = None,
    /,
    path: str = "",
    catalogue: str | None = None,
    label_column: str | None = None,
    match: str = "name",
    recipe: str = "mirabest_f",
    size: int | None = None,
    pixel_scale_arcsec: float | None = None,
    colour: bool | None = None,
    test_fraction: float = 0.0,
    seed: int = 0,
) -> Data:
    """Your own folder of FITS or pictures, or an .npz, HDF5 or Parquet file, with or without a catalogue.

    Part of it may be kept for testing. ``recipe`` is for FITS, ``size`` and ``colour`` are for folders and Parquet;
    rows of the catalogue belong to the ids of a file. ``label_column`` is one of the catalogue, else of the file.
    """
    if not path:
        raise InputError("dataset 'folder': expected params.path, got none; set data.params.path to a folder")
    where = _find(path, data_dir)
    listed = None if catalogue is None else _find(catalogue, data_dir)
    if not where.is_file() and not any(where.glob("*.parquet")):
        options = FolderOptions(recipe, size, pixel_scale_arcsec, colour)
        images = load_folder(where, catalogue=listed, label_column=label_column, match=match, options=options)
        return split_off_test(images, test_fraction, seed)
    options = {"size": size, "colour": colour, "pixel_scale_arcsec": pixel_scale_arcsec}
    options = {key: value for key, value in options.items() if value is not None}
    images = load_images(where, **options)
    if listed is not None:
        ids = [Path(source) for source in images.source_id_N]
        images = join_catalogue(images, ids, listed, label_column=label_column, match=match)
    elif label_column is not None:
        images = label_by(images, label_column, str(where))
    return split_off_test(images, test_fraction, seed)


@DATASETS.register("mosaic")
def mosaic(
    data_dir: Path | None = None,
    /,
    mosaics: str | tuple[str, ...] = (),
    catalogue: str = "",
    size: int | None = None,
    pixel_scale_arcsec: float | None = None,
    recipe: str = "mirabest_f",
    label_column: str | None = None,
    test_fraction: float = 0.0,
    seed: int = 0,
) -> Data:
    """Sources of a catalogue cut from one mosaic (a path) or more; part of them may be kept for testing."""
    if not (mosaics and catalogue):
        raise InputError("dataset 'mosaic': expected params mosaics and catalogue, got none; name the files")
    images = load_mosaic(
        [_find(path, data_dir) for path in ([mosaics] if isinstance(mosaics, str) else mosaics)],
        _find(catalogue, data_dir),
        size=size,
        recipe=recipe,
        pixel_scale_arcsec=pixel_scale_arcsec,
        label_column=label_column,
    )
    return split_off_test(images, test_fraction, seed)
