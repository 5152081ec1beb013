"""``npz`` as a registered dataset: any file of named arrays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from equirgz.data.catalogues.classes import match_classes
from equirgz.data.datasets import DATASETS
from equirgz.data.formats.npz import load_npz
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.overlap.grouping import SAME_SOURCE_ARCSEC, Grouping
from equirgz.data.overlap.groups import group_sources
from equirgz.data.root import find_file
from equirgz.errors import InputError
from equirgz.paths import as_path
from equirgz.registry import explained_by


@DATASETS.register("npz")
@explained_by(group_=Grouping)
def npz(
    data_dir: Path | None = None,
    /,
    path: str = "",
    test_path: str | None = None,
    class_names: tuple[str, ...] = (),
    pixel_scale_arcsec: float = float("nan"),
    label_column: str | int | None = None,
    missing: tuple[str | int | float, ...] = (),
    white: float | None = None,
    group_radius_arcsec: float = SAME_SOURCE_ARCSEC,
    group_tile_arcsec: float | None = None,
) -> Data:
    """Any ``.npz`` of images, and perhaps another one that tests.

    What shows one source is found, and no split divides it, as for ``folder``.

    Parameters
    ----------
    path : of the file of training images, as it stands or inside the data root.
    test_path : of a file of labelled images that test; None: no test part.
    class_names : in the order of the labels; default: the labels that occur.
    pixel_scale_arcsec : side of a pixel on the sky, arcsec; nan: unknown.
    label_column : name of the array of labels; None: the one of the usual names (label, target, class, y); "": none.
    missing : words or numbers that mean "no label" beside the usual ones.
    white : number of the brightest pixel that there can be, for images of more than 8 bits; None: 0 to 255 or 0 to 1.
    """
    grouping = Grouping(group_radius_arcsec, group_tile_arcsec)
    if not path:
        raise InputError("dataset 'npz': expected params.path, got none; set data.params.path to an .npz file")

    def load(filename: str) -> ImageSet:
        own = as_path(filename)
        full = own if own.is_file() else find_file(filename, data_dir)
        return load_npz(
            full,
            class_names=tuple(class_names),
            pixel_scale_arcsec=pixel_scale_arcsec,
            label_column=label_column,
            missing=missing,
            white=white,
        )

    parts = [replace(load(name), own_ids=True) for name in (path, test_path) if name is not None]
    train, *tests = group_sources(parts, grouping)
    if not tests:
        return Data(train, {})
    test = tests[0]
    return Data(train, {"test": match_classes(test, train.class_names) if train.class_names else test})
