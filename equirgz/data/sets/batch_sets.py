"""Sets published as pickled batches without positions: FR-DEEP (FIRST, NVSS) and Mingo LoTSS."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from equirgz.data.datasets import DATASETS
from equirgz.data.formats.pickled_batches import join_batches, read_batches
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.overlap.leaks import OBJECT
from equirgz.data.root import data_root, find_file
from equirgz.data.sets.facts import SETS
from equirgz.errors import DataError, InputError, require
from equirgz.paths import as_path

FR_CLASSES = ("FRI", "FRII")
MINGO_CLASSES = (
    "FRI",
    "FRI WAT",
    "FRI NAT",
    "FRI Small",
    "FRII",
    "FRII Small",
    "Double Double",
    "Indeterminate",
    "Indeterminate Small",
    "Small",
)
#: resolved FRI (with wide- and narrow-angle tails) against resolved FRII; all other classes are left out
MINGO_FR = {0: 0, 1: 0, 2: 0, 4: 1}


def load_batch_set(
    path: Path | str,
    *,
    name: str,
    class_names: tuple[str, ...],
    pixel_scale_arcsec: float,
    md5: str | None = None,
    class_in_id: bool = False,
) -> tuple[ImageSet, ImageSet]:
    """Return the train and test part of an archive of labelled batches; ids are the published file names.

    ``class_in_id`` puts the class before them, where the classes were numbered separately: ``FRI_37_example``.
    """
    batches = read_batches(as_path(path), md5)
    parts = []
    for test in (False, True):
        fields = join_batches(batches, test=test)
        part = f"{name}/{'test' if test else 'train'}"
        if "labels" not in fields:
            raise DataError(f"{path}: expected labels in every batch, got batches without")
        stems = [PurePosixPath(str(file)).stem for file in fields.get("filenames", [])]
        if class_in_id:
            stems = [f"{class_names[k]}_{stem}" for k, stem in zip(fields["labels"], stems, strict=True)]
        ids = _unique(stems, len(fields["data"]), part)
        parts.append(
            ImageSet(
                part,
                fields["data"],
                np.asarray(fields["labels"]),
                ids,
                class_names,
                pixel_scale_arcsec,
                table=pd.DataFrame({"batch": fields["batch_name"]}),
            )
        )
    return parts[0], parts[1]


def _unique(stems: list[str], n: int, part: str) -> np.ndarray:
    """Return the stems with _2, _3 ... behind repeated ones; numbered ids where there are no names."""
    if not stems:
        return np.array([f"{part.replace('/', '_')}_{i:06d}" for i in range(n)])
    seen: dict[str, int] = {}
    ids = []
    for stem in stems:
        seen[stem] = seen.get(stem, 0) + 1
        ids.append(stem if seen[stem] == 1 else f"{stem}_{seen[stem]}")
    return np.array(ids)


def _load(
    name: str,
    data_dir: Path | None,
    class_names: tuple[str, ...],
    scale: float,
    class_in_id: bool = False,
) -> tuple[ImageSet, ImageSet]:
    info = SETS[name]
    return load_batch_set(
        find_file(info.filename, data_dir),
        name=name,
        class_names=class_names,
        pixel_scale_arcsec=scale,
        md5=info.md5,
        class_in_id=class_in_id,
    )


def relabel(images: ImageSet, new_label: dict[int, int], class_names: tuple[str, ...]) -> ImageSet:
    """Return the sources whose label is a key of ``new_label``, with the new labels and class names."""
    keep_N = np.isin(images.label_N, list(new_label))
    subset = images.subset(keep_N)
    fields: dict[str, Any] = {key: getattr(subset, key) for key in ("name", "image_NHW", "source_id_N", "table")}
    label_N = np.array([new_label[int(k)] for k in subset.label_N], dtype=np.int64)
    return ImageSet(
        **fields,
        label_N=label_N,
        class_names=class_names,
        pixel_scale_arcsec=subset.pixel_scale_arcsec,
        position_deg_N2=subset.position_deg_N2,
        recipe=subset.recipe and f"{subset.recipe}{sorted(new_label.items())}",
    )


def frdeep_object(source_id: str) -> str:
    """Return what names a FR-DEEP object in both surveys: class, running number, FRICAT where it is from there.

    The published file names hold the number: ``37_example`` in FIRST is ``37_CoNFIG_FR1_`` in NVSS; the ids
    are the class and that name. Raises DataError for an id without class or number.

    >>> frdeep_object("FRI_37_example"), frdeep_object("FRI_37_CoNFIG_FR1_")
    ('FRI 37', 'FRI 37')
    """
    found = re.match(r"(FRII?)_(\d+)", source_id)
    require(found is not None, "FR-DEEP", expected="ids such as FRI_37_example", got=source_id, error=DataError)
    return f"{found[1]} {found[2]}{' FRICAT' if 'FRICAT' in source_id else ''}"


def _load_frdeep(name: str, data_dir: Path | None, scale: float) -> Data:
    parts = [
        replace(part, table=part.table.assign(**{OBJECT: [frdeep_object(i) for i in part.source_id_N]}))
        for part in _load(name, data_dir, FR_CLASSES, scale, class_in_id=True)
    ]
    return Data(parts[0], {"test": parts[1]})


def load_first_images(sets: list[ImageSet], data_dir: Path | None) -> ImageSet | None:
    """Return FR-DEEP's FIRST images where ``sets`` hold its objects in another survey; None without the archive.

    They show which of these objects other sets at FIRST's pixel scale hold
    (:func:`equirgz.data.overlap.leaks.refuse_leaks`).
    """
    elsewhere = any(OBJECT in images.table and images.pixel_scale_arcsec > 2 for images in sets)
    if not elsewhere or not (data_root(data_dir) / SETS["frdeep_first"].filename).is_file():
        return None
    data = frdeep_first(data_dir)
    return data.train.joined(data.tests["test"], "frdeep_first")


@DATASETS.register("frdeep_first")
def frdeep_first(data_dir: Path | None = None, /) -> Data:
    """FR-DEEP in FIRST: 550 train (242 FRI, 308 FRII), 50 test (22, 28); 150 px of 1.8 arcsec."""
    return _load_frdeep("frdeep_first", data_dir, 1.8)


@DATASETS.register("frdeep_nvss")
def frdeep_nvss(data_dir: Path | None = None, /) -> Data:
    """FR-DEEP in NVSS: 550 train, 50 test; 150 px of 15 arcsec (set data.crop to 18-40)."""
    return _load_frdeep("frdeep_nvss", data_dir, 15.0)


@DATASETS.register("mingo_lotss")
def mingo_lotss(data_dir: Path | None = None, /, classes: str = "fr") -> Data:
    """LoTSS sources of Mingo et al. 2019: ``fr`` = resolved FRI against FRII, ``all`` = ten classes."""
    if classes not in ("fr", "all"):
        raise InputError("mingo_lotss classes", expected="'fr' or 'all'", got=repr(classes))
    parts = _load("mingo_lotss", data_dir, MINGO_CLASSES, float("nan"))
    if classes == "fr":
        parts = tuple(relabel(part, MINGO_FR, FR_CLASSES) for part in parts)
    return Data(parts[0], {"test": parts[1]})
