"""``mosaic`` as a registered dataset: the sources of a catalogue, cut from your own mosaics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from equirgz.data.catalogues.catalogue import CatalogueOptions, get_ids, get_positions, read_catalogue
from equirgz.data.catalogues.join import choose_label_column, label_from
from equirgz.data.datasets import DATASETS
from equirgz.data.formats.files import nothing_left
from equirgz.data.formats.fits import FitsOptions
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.notes import list_missing, note
from equirgz.data.overlap.grouping import SAME_SOURCE_ARCSEC, Grouping
from equirgz.data.overlap.groups import own_sources
from equirgz.data.recipes import cut_recipe, get_recipe
from equirgz.data.root import find_own
from equirgz.data.sky.mosaic import cut_mosaics
from equirgz.data.splits.published_split import check_one_split, divide_own
from equirgz.errors import DataError, InputError
from equirgz.paths import as_path
from equirgz.registry import call_checked, explained_by


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
    scale = np.nan if scale is None else scale
    chosen = cut_recipe(recipe, size=size, crop_arcsec=crop_arcsec, pixel_scale_arcsec=scale)
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


@DATASETS.register("mosaic")
@explained_by(CatalogueOptions, FitsOptions, group_=Grouping)
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
    """Sources of a catalogue cut from one mosaic or more.

    Options of the catalogue are the fields of :class:`CatalogueOptions`. What shows one source is found, and no split
    divides it, as for ``folder``.

    Parameters
    ----------
    mosaics : paths of FITS files (or one), as they stand or inside the data root; the first that covers a source.
    catalogue : path of the table of positions, as it stands or inside the data root.
    size : side of the cutouts, pixels; None: what the recipe gives.
    pixel_scale_arcsec : to which the mosaics are resampled, arcsec per pixel; None: the mosaics' own.
    recipe : named recipe that makes images of the cuts (:data:`equirgz.data.recipes.RECIPES`); raw: as they are.
    crop_arcsec : side of the cut on the sky, arcsec, made before a recipe measures and scales, where it is the smaller.
    test_fraction : share of the sources that tests, the last of one stratified order; what shows one source stays
        together; 0 <= share < 1.
    seed : of that order.
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
    return divide_own(own_sources(images, grouping), columns, as_path(catalogue), test_fraction, seed)
