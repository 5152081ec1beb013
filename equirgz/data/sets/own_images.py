"""``folder`` and ``mosaic`` as registered datasets: your own images under one name."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from equirgz.data.catalogues.catalogue import CatalogueOptions, get_ids, get_positions, read_catalogue
from equirgz.data.catalogues.join import choose_label_column, join_catalogue, label_from
from equirgz.data.datasets import DATASETS
from equirgz.data.formats.containers import load_hdf5, load_parquet
from equirgz.data.formats.files import FolderOptions, nothing_left
from equirgz.data.formats.fits import FitsOptions
from equirgz.data.formats.image_folder import load_folder
from equirgz.data.formats.npz import load_npz
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.notes import list_missing, note
from equirgz.data.overlap.grouping import SAME_SOURCE_ARCSEC, Grouping
from equirgz.data.overlap.groups import own_sources
from equirgz.data.recipes import get_recipe
from equirgz.data.root import data_root
from equirgz.data.sets.optical import split_off_test
from equirgz.data.sky.mosaic import cut_mosaics
from equirgz.data.splits.published_split import check_one_split, split_by_column
from equirgz.errors import DataError, InputError, check_choice
from equirgz.paths import as_path
from equirgz.registry import call_checked


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


def load_mosaic(
    mosaics: list[Path],
    catalogue: Path | str,
    *,
    size: int | None = None,
    pixel_scale_arcsec: float | None = None,
    recipe: str = "mirabest_f",
    crop_arcsec: float | None = None,
    options: FitsOptions | None = None,
    name: str = "mosaic",
    bad_list: Path | str | None = None,
    **reading: Any,
) -> ImageSet:
    """Return the catalogued sources cut from the first mosaic that covers each, made by a named recipe.

    ``size`` pixels of ``pixel_scale_arcsec`` (default: the recipe's and the mosaic's), or ``crop_arcsec`` where that
    is less; ``options`` say which image of a file is meant, and its unit. ``table`` keeps the catalogue's columns.
    Sources outside every mosaic, mostly unobserved, or with nothing to show, are left out and listed with
    the reason in ``bad_list``; by default in the cache, in a file that the logger ``equirgz`` names in one
    line. ``reading``: the fields of :class:`CatalogueOptions`. A catalogue without labels
    gives unlabelled images, with a note. Raises DataError when none is left.
    """
    columns = call_checked("mosaic", CatalogueOptions, **reading)
    rows = read_catalogue(catalogue, columns)
    position = get_positions(rows, ra=columns.ra_column, dec=columns.dec_column, source=str(catalogue))
    ids = get_ids(rows, column=columns.id_column, prefix=name)
    labels = choose_label_column(rows, columns.label_column, str(catalogue))
    if not mosaics:
        raise DataError(f"{catalogue}: expected mosaics to cut its sources from, got none of them; name the files")
    options = options or FitsOptions()
    scale = pixel_scale_arcsec
    if crop_arcsec is not None and scale is None:
        scale = options.load(mosaics[0]).pixel_scale_arcsec
    chosen = FolderOptions(recipe, size, crop_arcsec=crop_arcsec).make_recipe(np.nan if scale is None else scale)
    cut_size = chosen.size or size or get_recipe("mirabest_f").size
    cuts = cut_mosaics(mosaics, position, size=cut_size, pixel_scale_arcsec=pixel_scale_arcsec, options=options)
    chosen.check_unit(cuts.unit, str(mosaics[0]))
    image_NSS, missing = chosen(cuts.image_NSS), dict(cuts.missing)
    shown_N = image_NSS.any((1, 2))
    missing |= dict.fromkeys(cuts.index_N[~shown_N].tolist(), nothing_left(recipe))
    list_missing(missing, ids, catalogue, bad_list)
    kept = cuts.index_N[shown_N]
    if not len(kept):
        reason = next(iter(missing.values()), "no source in the catalogue")
        raise DataError(f"{catalogue}: expected sources inside the mosaics, got none of {len(rows)}; e.g. {reason}")
    images = ImageSet(
        name,
        image_NSS[shown_N],
        np.full(len(kept), -1),
        ids[kept],
        (),
        cuts.pixel_scale_arcsec,
        position[kept],
        rows.iloc[kept],
        cut_arcsec=None if crop_arcsec is None or np.isnan(scale) else crop_arcsec,
    )
    if columns.votes or labels is not None:
        return label_from(images, images.table, labels, columns, str(catalogue))
    if columns.label_column is None:
        note(f"{catalogue}: no column of labels among {', '.join(map(str, rows.columns))}; name it with label_column")
    return images


def find_own(path: str, data_dir: Path | None) -> Path:
    """Return a path of the user's: as it stands where it is there, else inside the data root."""
    own = as_path(path)
    return own if own.exists() else data_root(data_dir) / path


@DATASETS.register("folder")
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

    Part of it may be kept for testing, or ``split_column`` tells who tests
    (:func:`~equirgz.data.splits.published_split.split_by_column`). ``recipe``, ``hdu``, ``plane``, ``unit`` and
    ``crop_arcsec`` are for FITS (:class:`FolderOptions`), ``size`` and ``colour`` for folders and Parquet, ``white``
    for all but FITS; rows of the catalogue belong to the ids of a file. Columns (of the catalogue, else of the
    file), ``missing``, ``votes`` and how a catalogue is read: :class:`CatalogueOptions`.
    ``group_radius_arcsec`` and ``group_tile_arcsec`` say which sources count as one besides equal and nearly equal
    images (:class:`~equirgz.data.overlap.grouping.Grouping`): no split divides them.
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
        return _divide(own_sources(images, grouping), columns, listed or where, test_fraction, seed)
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
    return _divide(own_sources(images, grouping), columns, listed or where, test_fraction, seed)


def _divide(images: ImageSet, columns: CatalogueOptions, source: Path, test_fraction: float, seed: int) -> Data:
    if columns.split_column is not None:
        return split_by_column(images, columns.split_column, str(source))
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
    hdu: int | str | None = None,
    plane: int | str | dict[str, int | str] | None = None,
    unit: str | None = None,
    crop_arcsec: float | None = None,
    test_fraction: float = 0.0,
    seed: int = 0,
    group_radius_arcsec: float = SAME_SOURCE_ARCSEC,
    group_tile_arcsec: float | None = None,
    **reading: Any,
) -> Data:
    """Sources of a catalogue cut from one mosaic (a path) or more; part of them may be kept for testing.

    Or ``split_column`` tells who tests; this and other options of the catalogue are the fields of
    :class:`CatalogueOptions`. What shows one
    source is found, and no split divides it, as for ``folder``.
    """
    grouping = Grouping(group_radius_arcsec, group_tile_arcsec)
    columns = call_checked("dataset 'mosaic'", CatalogueOptions, **reading)
    check_one_split(test_fraction, columns.split_column)
    if not (mosaics and catalogue):
        raise InputError("dataset 'mosaic': expected params mosaics and catalogue, got none; name the files")
    images = load_mosaic(
        [find_own(path, data_dir) for path in ([mosaics] if isinstance(mosaics, str) else mosaics)],
        find_own(catalogue, data_dir),
        size=size,
        recipe=recipe,
        pixel_scale_arcsec=pixel_scale_arcsec,
        crop_arcsec=crop_arcsec,
        options=FitsOptions(hdu, plane, unit),
        **reading,
    )
    return _divide(own_sources(images, grouping), columns, as_path(catalogue), test_fraction, seed)
