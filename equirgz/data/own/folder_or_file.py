"""``folder`` and ``mosaic`` as registered datasets: your own images under one name."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any

from equirgz.data.catalogues.catalogue import CatalogueOptions
from equirgz.data.catalogues.join import join_catalogue, label_from
from equirgz.data.datasets import DATASETS
from equirgz.data.formats.containers import load_hdf5, load_parquet
from equirgz.data.formats.files import FolderOptions
from equirgz.data.formats.fits import FitsOptions
from equirgz.data.formats.image_folder import load_folder
from equirgz.data.formats.npz import load_npz
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.overlap.grouping import SAME_SOURCE_ARCSEC, Grouping
from equirgz.data.overlap.groups import own_sources
from equirgz.data.root import find_own
from equirgz.data.splits.published_split import check_one_split, divide_own
from equirgz.errors import InputError, check_choice
from equirgz.paths import as_path
from equirgz.registry import explained_by


def load_images(path: Path | str, **keywords: Any) -> ImageSet:
    """Read images from wherever ``path`` points: a folder, an .npz, .h5/.hdf5 or .parquet file.

    Keywords go to the loader of that kind, those of :class:`FolderOptions` as such; an unknown ending, or a keyword of
    another kind, is an InputError.
    """
    path = as_path(path)
    if path.is_dir() and not any(path.glob("*.parquet")):
        options = {option.name for option in fields(FolderOptions)}
        direct = {*inspect.signature(load_folder).parameters} - {"folder", "options", "reading"}
        columns = {option.name for option in fields(CatalogueOptions)}
        for keyword in keywords:
            check_choice(f"option of the folder {path}", keyword, {*options, *direct, *columns})
        chosen = {key: keywords.pop(key) for key in options & set(keywords)}
        return load_folder(path, options=FolderOptions(**chosen), **keywords)
    loaders = {".npz": load_npz, ".h5": load_hdf5, ".hdf5": load_hdf5, ".parquet": load_parquet}
    if not path.is_dir() and path.suffix.lower() not in loaders:
        raise InputError(str(path), expected="a folder, .npz, .h5, .hdf5 or .parquet", got=repr(path.suffix))
    loader = load_parquet if path.is_dir() else loaders[path.suffix.lower()]
    unknown = sorted(set(keywords) - set(inspect.signature(loader).parameters))
    if unknown:
        mend = "the images are taken as they are; leave it out (data.image_size and data.crop are for all)"
        raise InputError(str(path), expected=f"no option {unknown[0]}", got=keywords[unknown[0]], mend=mend)
    return loader(path, **keywords)


@DATASETS.register("folder")
@explained_by(CatalogueOptions, FitsOptions, FolderOptions, group_=Grouping)
def folder(
    data_dir: Path | None = None,
    /,
    path: str = "",
    catalogue: str | None = None,
    label_column: str | int | None = None,
    id_column: str | int | None = None,
    ra_column: str | int | None = None,
    dec_column: str | int | None = None,
    split_column: str | int | None = None,
    match: str = "name",
    match_radius_arcsec: float = 10.0,
    missing: tuple[str | int | float, ...] = (),
    votes: dict[str, str | int] | None = None,
    min_vote: float = 0.5,
    separator: str | None = None,
    header: bool | None = None,
    encoding: str | None = None,
    recipe: str = "mirabest_f",
    size: int | None = None,
    pixel_scale_arcsec: float | None = None,
    colour: bool | None = None,
    hdu: int | str | None = None,
    plane: int | str | dict[str, int | str] | None = None,
    unit: str | None = None,
    white: float | None = None,
    crop_arcsec: float | None = None,
    test_fraction: float = 0.0,
    seed: int = 0,
    group_radius_arcsec: float = SAME_SOURCE_ARCSEC,
    group_tile_arcsec: float | None = None,
) -> Data:
    """Your own folder of FITS or pictures, or an .npz, HDF5 or Parquet file, with or without a catalogue.

    ``recipe``, ``hdu``, ``plane``, ``unit`` and ``crop_arcsec`` are for FITS (:class:`FolderOptions`), ``size`` and
    ``colour`` for folders and Parquet, ``white`` for all but FITS; rows of the catalogue belong to the ids of a file.
    Columns are of the catalogue, else of the file. No split divides what shows one source: equal and nearly equal
    images, and what ``group_radius_arcsec`` and ``group_tile_arcsec`` join.

    Parameters
    ----------
    path : of the folder or file, as it stands or inside the data root; a folder's class folders give the labels.
    catalogue : table of ids or positions with labels, as it stands or inside the data root; None: none.
    test_fraction : share of the sources that tests, the last of one stratified order; what shows one source stays
        together; 0 <= share < 1.
    seed : of that order.
    """
    grouping = Grouping(group_radius_arcsec, group_tile_arcsec)
    given = locals()
    reading = {field.name: given[field.name] for field in fields(CatalogueOptions)}
    columns = CatalogueOptions(**reading)
    check_one_split(test_fraction, split_column)
    if not path:
        raise InputError("dataset 'folder': expected params.path, got none; set data.params.path to a folder")
    where = find_own(path, data_dir)
    listed = None if catalogue is None else find_own(catalogue, data_dir)
    if not where.is_file() and not any(where.glob("*.parquet")):
        options = FolderOptions(recipe, size, pixel_scale_arcsec, colour, hdu, plane, unit, white, crop_arcsec)
        images = load_folder(where, catalogue=listed, options=options, **columns.told())
        return divide_own(own_sources(images, grouping), columns, listed or where, test_fraction, seed)
    options = {"size": size, "colour": colour, "pixel_scale_arcsec": pixel_scale_arcsec, "white": white}
    options |= {"hdu": hdu, "plane": plane, "unit": unit}
    options = {key: value for key, value in options.items() if value is not None}
    if listed is None and not votes:
        options |= {"label_column": label_column, "missing": missing}
    images = load_images(where, **options)
    if listed is not None:
        images = join_catalogue(images, [Path(source) for source in images.source_id_N], listed, columns)
    elif votes:
        images = label_from(images, images.table, None, columns, str(where))
    return divide_own(own_sources(images, grouping), columns, listed or where, test_fraction, seed)
