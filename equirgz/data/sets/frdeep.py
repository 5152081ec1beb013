"""FR-DEEP: 600 FRI and FRII, each in FIRST and in NVSS, in batches without positions; and their shift task.

Sources are named by object, so that one survey's test objects are found in the other's training set
(:mod:`equirgz.data.overlap.objects`).
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from equirgz.data.datasets import DATASETS
from equirgz.data.facts import FIRST_TERMS, NVSS_TERMS, SETS, SetInfo, publish
from equirgz.data.formats.pickled_batches import load_batch_set
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.overlap.objects import OBJECT, ObjectImages, declare_objects
from equirgz.data.preprocess import crop_centre, resample
from equirgz.data.root import find_file
from equirgz.errors import DataError, InputError, require

FIRST_SIZE = 150  # px of 1.8 arcsec
_FRDEEP = "https://github.com/HongmingTang060313/FR-DEEP/raw/master"
_FRDEEP_PAPER = "Tang, Scaife & Leahy 2019, MNRAS 488, 3358, arXiv 1903.11921"
publish(
    SetInfo(
        "frdeep_first",
        "FR-DEEP in FIRST: 600 FRI and FRII of FRICAT and CoNFIG",
        "FIRST_PNG_dataset.tar.gz",
        "2f39461e6c62fb45289559915106013a",
        f"{_FRDEEP}/FIRST_data/FIRST_PNG_dataset.tar.gz",
        FIRST_TERMS,
        _FRDEEP_PAPER,
        ("frdeep_first",),
        {"FRI_13_FRICAT_FR1_example": "all pixels zero"},
        "One duplicate; no positions; the test parts in FIRST and NVSS share 5 objects only.",
    )
)
publish(
    SetInfo(
        "frdeep_nvss",
        "FR-DEEP in NVSS: 600 FRI and FRII, 15 arcsec/px, 45 arcsec beam",
        "NVSS_PNG_dataset.tar.gz",
        "2584ed1e174ea71f581d0e0d6f32ef38",
        f"{_FRDEEP}/NVSS_data/NVSS_PNG_dataset.tar.gz",
        NVSS_TERMS,
        _FRDEEP_PAPER,
        ("frdeep_nvss",),
        notes="Most targets are unresolved among about 20 field sources: crop the centre to 18-40 px. One duplicate.",
    )
)
declare_objects("FR-DEEP", ObjectImages("frdeep_first", pixel_scale_arcsec=1.8, filename="FIRST_PNG_dataset.tar.gz"))


def frdeep_object(source_id: str) -> str:
    """Return what names a FR-DEEP object in both surveys: class, running number, FRICAT where it is from there.

    The published file names hold the number: ``37_example`` in FIRST is ``37_CoNFIG_FR1_`` in NVSS; the ids
    are the class and that name. Raises DataError for an id without class or number.

    >>> frdeep_object("FRI_37_example"), frdeep_object("FRI_37_CoNFIG_FR1_")
    ('FR-DEEP FRI 37', 'FR-DEEP FRI 37')
    """
    found = re.match(r"(FRII?)_(\d+)", source_id)
    require(found is not None, "FR-DEEP", expected="ids such as FRI_37_example", got=source_id, error=DataError)
    return f"FR-DEEP {found[1]} {found[2]}{' FRICAT' if 'FRICAT' in source_id else ''}"


def _load_frdeep(name: str, data_dir: Path | None, scale: float) -> Data:
    info = SETS[name]
    path = find_file(info.filename, data_dir)
    train, test = load_batch_set(
        path, name=name, class_names=("FRI", "FRII"), pixel_scale_arcsec=scale, md5=info.md5, class_in_id=True
    )
    train, test = (
        replace(part, table=part.table.assign(**{OBJECT: [frdeep_object(i) for i in part.source_id_N]}))
        for part in (train, test)
    )
    return Data(train, {"test": test})


@DATASETS.register("frdeep_first")
def frdeep_first(data_dir: Path | None = None, /) -> Data:
    """FR-DEEP in FIRST: 550 train (242 FRI, 308 FRII), 50 test (22, 28); 150 px of 1.8 arcsec."""
    return _load_frdeep("frdeep_first", data_dir, 1.8)


@DATASETS.register("frdeep_nvss")
def frdeep_nvss(data_dir: Path | None = None, /) -> Data:
    """FR-DEEP in NVSS: 550 train, 50 test; 150 px of 15 arcsec (set data.crop to 18-40)."""
    return _load_frdeep("frdeep_nvss", data_dir, 15.0)


def cut_and_enlarge(images: ImageSet, size: int, size_out: int) -> ImageSet:
    """Return the central ``size`` pixels, scaled anew to 0..255 and enlarged to ``size_out``, uint8.

    Sources outside the cut no longer set the scale. An image without any signal in the cut is all 0.
    """
    image_NHW = crop_centre(images.image_NHW, size).astype(np.float32)
    low, high = image_NHW.min((1, 2), keepdims=True), image_NHW.max((1, 2), keepdims=True)
    image_NHW = (image_NHW - low) / np.where(high > low, high - low, 1) * 255
    return replace(
        images,
        image_NHW=np.round(resample(image_NHW, size_out)).astype(np.uint8),
        pixel_scale_arcsec=images.pixel_scale_arcsec * size / size_out,
    )


@DATASETS.register("frdeep_first_to_nvss")
def frdeep_first_to_nvss(data_dir: Path | None = None, /, nvss_size: int = 18) -> Data:
    """FR-DEEP with labels in FIRST and without in NVSS, 150 px a side in both: a task of domain adaptation.

    ``train`` and ``test`` are in FIRST, ``test_shift`` and ``unlabelled`` in NVSS. An object that one survey tests
    on is trained on in neither: 512 labelled sources, 510 unlabelled ones, and 50 test sources in each survey (5
    objects in common).

    Parameters
    ----------
    nvss_size : side, pixels of 15 arcsec, that is cut from NVSS and enlarged to 150; 1 to 150. The default covers
        the 270 arcsec of the FIRST images.
    """
    first, nvss = frdeep_first(data_dir), frdeep_nvss(data_dir)
    size = nvss.train.image_size
    if not 1 <= nvss_size <= size:
        raise InputError("frdeep_first_to_nvss nvss_size", expected=f"1 to {size}", got=nvss_size)
    train, test = first.train, first.tests["test"]
    target, target_test = (cut_and_enlarge(part, nvss_size, FIRST_SIZE) for part in (nvss.train, nvss.tests["test"]))
    return Data(
        _without(train, target_test),
        {"test": test, "test_shift": target_test},
        _without(target, test).without_labels(),
    )


def _without(images: ImageSet, others: ImageSet) -> ImageSet:
    """Return the FR-DEEP sources of ``images`` that are no object of ``others``."""
    return images.subset(~images.table[OBJECT].isin(others.table[OBJECT]).to_numpy())
