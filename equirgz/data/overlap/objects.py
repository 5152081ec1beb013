"""Objects that several surveys show: their names in every set, and where their images are told apart best.

A set without positions may name its objects in the column ``OBJECT`` of its table: the same words in every survey
that shows them, begun by the name of their catalogue ("FR-DEEP FRI 37"). Where images of another pixel scale tell
more, the set's module declares them once (:func:`declare_objects`); nothing else knows which sets there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equirgz.data.datasets import DATASETS
from equirgz.data.imageset import ImageSet
from equirgz.data.root import data_root

#: column of ``table``: what names an object in all of the surveys that show it
OBJECT = "object"


@dataclass(frozen=True)
class ObjectImages:
    """The registered ``dataset`` that shows a catalogue's objects at ``pixel_scale_arcsec``, and its archive's name."""

    dataset: str
    pixel_scale_arcsec: float
    filename: str


_CATALOGUES: dict[str, ObjectImages] = {}


def declare_objects(catalogue: str, images: ObjectImages) -> None:
    """Declare which images show the objects whose names begin with ``catalogue``."""
    _CATALOGUES[catalogue] = images


def named_objects(sets: Iterable[ImageSet]) -> dict[str, ObjectImages]:
    """Return the declared images of every catalogue whose objects ``sets`` hold at another pixel scale."""
    found = {}
    for images in sets:
        names = images.table[OBJECT].astype(str) if OBJECT in images.table else ()
        for catalogue, shown in _CATALOGUES.items():
            elsewhere = not np.isclose(images.pixel_scale_arcsec, shown.pixel_scale_arcsec, rtol=0.02)
            if elsewhere and any(name.startswith(f"{catalogue} ") for name in names):
                found[catalogue] = shown
    return found


def load_object_images(sets: Iterable[ImageSet], data_dir: Path | None) -> ImageSet | None:
    """Return the declared images of the objects that ``sets`` show elsewhere; None where there are none.

    They show which of these objects other sets at their pixel scale hold
    (:func:`equirgz.data.overlap.leaks.refuse_leaks`). Archives that are not in the data root are left out.
    """
    found: ImageSet | None = None
    for shown in named_objects(sets).values():
        if not (data_root(data_dir) / shown.filename).is_file():
            continue
        data = DATASETS.create(shown.dataset, data_dir)
        whole = data.train
        for test in data.tests.values():
            whole = whole.joined(test, shown.dataset)
        found = whole if found is None else found.joined(whole, f"{found.name}+{whole.name}")
    return found
