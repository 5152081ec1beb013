"""MiraBest: 1256 FIRST radio galaxies with FR class, confidence and sub-class (arXiv 2305.11108).

Two versions were published under one name. ``F`` (the second, canonical one) masks each image to a
disk of 75 px; ``v1`` does not, scales differently and splits train and test differently: 132 of F's
test sources are in v1's train part. Both hold 1099 + 157 images of 150 x 150 pixels of 1.8 arcsec.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from equirgz.data.datasets import DATASETS
from equirgz.data.formats.pickled_batches import join_batches, read_batches
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.root import find_file
from equirgz.data.sets.facts import SETS
from equirgz.errors import DataError, check_choice

PIXEL_SCALE_ARCSEC = 1.8
ARCHIVES = {"F": SETS["mirabest_f"], "v1": SETS["mirabest_v1"]}
CODES = ("100", "102", "104", "110", "112", "200", "201", "210", "300", "310")
FR_CLASSES = ("FRI", "FRII")
#: name of the selection -> class index in the batches -> label
SELECTIONS: dict[str, tuple[tuple[str, ...], dict[int, int]]] = {
    "confident": (FR_CLASSES, {0: 0, 1: 0, 2: 0, 5: 1, 6: 1}),
    "uncertain": (FR_CLASSES, {3: 0, 4: 0, 7: 1}),
    "hybrid": (("hybrid_confident", "hybrid_uncertain"), {8: 0, 9: 1}),
    "all": (FR_CLASSES, {0: 0, 1: 0, 2: 0, 3: 0, 4: 0, 5: 1, 6: 1, 7: 1}),
}
_NAME = re.compile(r"(\d{3})_(\d{3}\.\d{3})([+-])(\d{2,3}\.\d{3})_(\d\.\d{4})_(\d{4}\.\d{2})")


def parse_name(name: str) -> dict[str, Any]:
    """Parse ``LLL_RRR.RRR+DD.DDD_z.zzzz_SSSS.SS``: code, position, redshift and angular size.

    Right ascension and declination (signed) in degrees, ``las_arcsec`` in arcsec.

    >>> parse_name("100_036.061-000.563_0.1400_0093.07.png")["dec_deg"]
    -0.563
    """
    match = _NAME.search(name)
    if match is None:
        raise DataError("source name", expected="LLL_RRR.RRR+DDD.DDD_z.zzzz_SSSS.SS", got=repr(name))
    code, ra, sign, dec, redshift, las = match.groups()
    return {
        "code": code,
        "ra_deg": float(ra),
        "dec_deg": float(dec) * (-1.0 if sign == "-" else 1.0),
        "redshift": float(redshift),
        "las_arcsec": float(las),
    }


def load_mirabest(data_dir: Path | str | None = None, *, version: str = "F") -> tuple[ImageSet, ImageSet]:
    """Return all 1099 train and 157 test sources of one version, labelled with the ten published classes.

    Raises DataError when the archive is missing, has another md5 or is damaged.
    """
    check_choice("MiraBest version", version, ARCHIVES)
    archive = ARCHIVES[version]
    batches = read_batches(find_file(archive.filename, data_dir), archive.md5)
    return (
        _image_set(join_batches(batches, test=False), f"mirabest_{version}/train"),
        _image_set(join_batches(batches, test=True), f"mirabest_{version}/test"),
    )


def _image_set(fields: dict[str, Any], name: str) -> ImageSet:
    stems = [PurePosixPath(str(filename)).stem for filename in fields["filenames"]]
    table = pd.DataFrame([parse_name(str(filename)) for filename in fields["filenames"]])
    table["batch"] = fields["batch_name"]
    return ImageSet(
        name=name,
        image_NHW=fields["data"],
        label_N=np.asarray(fields["labels"], dtype=np.int64),
        source_id_N=np.asarray(stems),
        class_names=CODES,
        pixel_scale_arcsec=PIXEL_SCALE_ARCSEC,
        position_deg_N2=table[["ra_deg", "dec_deg"]].to_numpy(),
        table=table,
    )


def select(images: ImageSet, selection: str, *, labelled: bool = True) -> ImageSet:
    """Return the sources of a selection (confident, uncertain, hybrid, all) with its binary labels.

    With ``labelled=False`` the class names stay FRI and FRII and every label is -1: for sources,
    such as hybrids, that have no FR class.
    """
    check_choice("MiraBest selection", selection, SELECTIONS)
    class_names, label_of = SELECTIONS[selection]
    chosen_N = np.isin(images.label_N, list(label_of))
    if not labelled:
        class_names, label_of = FR_CLASSES, dict.fromkeys(label_of, -1)
    subset = images.subset(chosen_N)
    return ImageSet(
        name=f"{images.name}/{selection}",
        image_NHW=subset.image_NHW,
        label_N=np.array([label_of[int(k)] for k in subset.label_N], dtype=np.int64),
        source_id_N=subset.source_id_N,
        class_names=class_names,
        pixel_scale_arcsec=subset.pixel_scale_arcsec,
        position_deg_N2=subset.position_deg_N2,
        table=subset.table,
    )


@DATASETS.register("mirabest_confident")
def mirabest_confident(data_dir: Path | None = None, /, version: str = "F") -> Data:
    """Confident FRI against FRII: 729 train (348/381), 104 test; uncertain and hybrid test sources beside."""
    train, test = load_mirabest(data_dir, version=version)
    return Data(
        select(train, "confident"),
        {
            "test": select(test, "confident"),
            "test_uncertain": select(test, "uncertain"),
            "test_hybrid": select(test, "hybrid", labelled=False),
        },
    )


@DATASETS.register("mirabest_uncertain")
def mirabest_uncertain(data_dir: Path | None = None, /, version: str = "F") -> Data:
    """Uncertain FRI against FRII: 340 train, 49 test."""
    train, test = load_mirabest(data_dir, version=version)
    return Data(select(train, "uncertain"), {"test": select(test, "uncertain")})


@DATASETS.register("mirabest_hybrid")
def mirabest_hybrid(data_dir: Path | None = None, /, version: str = "F") -> Data:
    """Hybrid sources, labelled by confidence (0 confident, 1 uncertain): 30 train, 4 test."""
    train, test = load_mirabest(data_dir, version=version)
    return Data(select(train, "hybrid"), {"test": select(test, "hybrid")})


@DATASETS.register("mirabest_all")
def mirabest_all(data_dir: Path | None = None, /, version: str = "F") -> Data:
    """All FRI against all FRII, confident and uncertain: 1069 train, 153 test; hybrid test sources beside."""
    train, test = load_mirabest(data_dir, version=version)
    return Data(
        select(train, "all"),
        {
            "test": select(test, "all"),
            "test_confident": select(test, "confident"),
            "test_uncertain": select(test, "uncertain"),
            "test_hybrid": select(test, "hybrid", labelled=False),
        },
    )
