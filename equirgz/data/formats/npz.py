"""Unlabelled pools and any ``.npz`` of images.

Recognised array names: images ``X``, ``images`` or ``image_NHW``; labels those of
:data:`LABEL_NAMES` (``y``, ``labels``, ``target``, ``class``, ...); names of the classes
``class_names``; positions ``ra`` and ``dec`` in degrees; ids ``name``, ``source_id`` or ``id``, else numbers
with a hash of the pixels. Other arrays of length N become columns of the table.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from equirgz.data.catalogues.catalogue import get_positions
from equirgz.data.catalogues.join import choose_label_column
from equirgz.data.catalogues.labels import LABEL_NAMES, encode_labels
from equirgz.data.check.faults import find_blank
from equirgz.data.formats.arrays import read_arrays
from equirgz.data.formats.levels import check_pixels
from equirgz.data.imageset import ImageSet, number_sources
from equirgz.data.notes import list_bad
from equirgz.errors import DataError
from equirgz.paths import as_path

_IMAGES = ("X", "images", "image_NHW")
_IDS = ("source_id", "name", "id")


def _first(arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray | None:
    return next((arrays[name] for name in names if name in arrays), None)


def load_npz(
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
    """Read an ``.npz`` of images (N, H, W) or (N, C, H, W) as an ImageSet.

    Pixels are integers from 0 to 255 or floats in [0, 1], or numbers up to ``white`` (:func:`check_pixels`). Images
    of one value alone are left out and listed in ``bad_list``; by default in the cache.

    Labels become -1 where there are none; ``class_names`` default to the labels that occur
    (:func:`~equirgz.data.catalogues.classes.encode_labels`). Raises DataError for a damaged or misshapen file.
    """
    path = as_path(path)
    return arrays_to_images(
        read_arrays(path),
        str(path),
        name=name or path.stem,
        class_names=class_names,
        pixel_scale_arcsec=pixel_scale_arcsec,
        label_column=label_column,
        missing=missing,
        white=white,
        bad_list=bad_list,
    )


def _choose_labels(arrays: dict[str, np.ndarray], n: int, wanted: str | int | None, source: str) -> str | None:
    """Return the name of the array of labels; those of another length count only where no other has a usual name."""
    per_image = [key for key, array in arrays.items() if array.shape in ((n,), (n, 1)) and key not in _IMAGES]
    usual = [key for key in arrays if key.lower() in LABEL_NAMES]
    shown = per_image if wanted is not None or set(usual) & set(per_image) else usual
    return choose_label_column(pd.DataFrame(columns=shown), wanted, source)


def arrays_to_images(
    arrays: dict[str, np.ndarray],
    source: str,
    *,
    name: str,
    class_names: tuple[str, ...],
    pixel_scale_arcsec: float,
    label_column: str | int | None = None,
    missing: tuple[str | int | float, ...] = (),
    white: float | None = None,
    bad_list: Path | str | None = None,
) -> ImageSet:
    """Return the ImageSet of named arrays (names: module docstring); ``source`` is named in errors.

    ``label_column`` names the array of labels ("": none), which is needed where there are two; ``missing`` are words
    for no label. Raises DataError for misshapen arrays, InputError for labels that are not there or there twice.
    """
    image_NHW = _first(arrays, _IMAGES)
    if image_NHW is None:
        raise DataError(source, expected=f"an array named {' or '.join(_IMAGES)}", got=sorted(arrays))
    if image_NHW.ndim not in (3, 4):
        raise DataError(source, expected="images (N, H, W) or (N, C, H, W)", got=image_NHW.shape)
    image_NHW = check_pixels(image_NHW, source, white)
    n = len(image_NHW)
    labels, label_N = _choose_labels(arrays, n, label_column, source), np.full(n, -1)
    if labels is not None:
        label_NK = arrays[labels]
        if label_NK.shape not in ((n,), (n, 1)):
            raise DataError(f"{source}: {labels}", expected=f"one per image ({n})", got=label_NK.shape)
        named = arrays.get("class_names", np.zeros(0))
        if not class_names and named.ndim == 1 and named.dtype.kind in "UO":
            class_names = tuple(map(str, named))
        label_N, class_names = encode_labels(
            label_NK.reshape(n), tuple(class_names), f"{source}: {labels}", missing=missing
        )
    source_id_N = _first(arrays, _IDS)
    if source_id_N is None:
        source_id_N = number_sources(name, image_NHW)
    position = None
    if {"ra", "dec"} <= set(arrays):
        columns = {key: pd.Series(arrays[key]) for key in ("ra", "dec")}
        position = get_positions(pd.DataFrame(columns), source=source)
    used = {*_IMAGES, *_IDS, "ra", "dec", labels}
    extras = {k: v for k, v in arrays.items() if k not in used and v.shape == (n,)}
    images = ImageSet(
        name,
        image_NHW,
        label_N,
        source_id_N,
        class_names,
        pixel_scale_arcsec,
        position,
        pd.DataFrame(extras, index=range(n)),
    )
    return _without_blank(images, source, bad_list)


def _without_blank(images: ImageSet, source: str, bad_list: Path | str | None) -> ImageSet:
    """Return the images without those of one value, which are listed; DataError where none is left."""
    bad = {k: reason for k, image in enumerate(images.image_NHW) if (reason := find_blank(image))}
    if not bad:
        return images
    if len(bad) == len(images):
        raise DataError(source, expected="images that show something", got=f"none of {len(images)}")
    list_bad({str(images.source_id_N[k]): reason for k, reason in bad.items()}, source, bad_list, what="images")
    return images.subset(np.setdiff1d(np.arange(len(images)), list(bad)))
