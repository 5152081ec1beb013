"""MiraBest: 1256 FIRST radio galaxies with FR class, confidence and sub-class (arXiv 2305.11108).

Two versions were published under one name. ``F`` (the second, canonical one) masks each image to a
disk of 75 px; ``v1`` does not, scales differently and splits train and test differently: 132 of F's
test sources are in v1's train part. Both hold 1099 + 157 images of 150 x 150 pixels of 1.8 arcsec.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from equirgz.data.catalogues.classes import relabel
from equirgz.data.datasets import DATASETS
from equirgz.data.facts import FIRST_TERMS, MANCHESTER, SetInfo, publish
from equirgz.data.formats.pickled_batches import join_batches, read_batches
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.root import find_file
from equirgz.errors import DataError, check_choice

PIXEL_SCALE_ARCSEC = 1.8
FAULTS = {
    "200_147.709-000.888_0.2715_0030.00": "noise only",
    "300_147.428-000.840_0.0810_0043.06": "noise only",
    "200_149.170-000.023_0.1392_0107.66": "wrongly masked",
    "100_209.593+018.300_0.1616_0048.72": "mis-centred by 90 arcsec",
    "110_345.859-000.360_0.3441_0033.79": "part of the field is NaN",
    "210_180.617+058.693_0.1268_0131.60": "patches of exact zeros",
    "100_036.061+000.563_0.1400_0093.07": "black-listed for missing data: not in the archive",
    "102_169.640+031.253_0.2198_0060.00": "near-duplicate of 100_169.641+031.255, which has another label",
    "100_169.641+031.255_0.2181_0081.13": "near-duplicate of 102_169.640+031.253, which has another label",
}
_DATASETS = ("mirabest_confident", "mirabest_uncertain", "mirabest_hybrid", "mirabest_all")
_PAPERS = "Porter & Scaife 2023, arXiv 2305.11108; Miraghaei & Best 2017, MNRAS 466, 4346"
ARCHIVES = {
    "F": publish(
        SetInfo(
            "mirabest_f",
            "MiraBest, second version (F): 1256 FIRST radio galaxies with FR class and confidence",
            "MiraBest_F_batches.tar.gz",
            "7d4e3a623d29db7204bce81676ee8ce2",
            f"{MANCHESTER}/MiraBest/MiraBest_F/MiraBest_F_batches.tar.gz",
            FIRST_TERMS,
            _PAPERS,
            _DATASETS,
            FAULTS,
            "76 images (9 of the test part) have their brightest pixel outside the target.",
        )
    ),
    "v1": publish(
        SetInfo(
            "mirabest_v1",
            "MiraBest, first version: the same sources, another split and scaling, no mask",
            "MiraBest_full_batches.tar.gz",
            "965b5daa83b9d8622bb407d718eecb51",
            f"{MANCHESTER}/MiraBest/full_dataset/MiraBest_full_batches.tar.gz",
            FIRST_TERMS,
            _PAPERS,
            _DATASETS,
            FAULTS,
            "132 of F's test sources are in this version's train part.",
        )
    ),
}
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
    if not labelled:
        class_names, label_of = FR_CLASSES, dict.fromkeys(label_of, -1)
    return replace(relabel(images, label_of, class_names), name=f"{images.name}/{selection}")


@DATASETS.register("mirabest_confident")
def mirabest_confident(data_dir: Path | None = None, /, version: str = "F") -> Data:
    """Confident FRI against FRII: 729 train (348/381), 104 test; uncertain and hybrid test sources beside.

    Parameters
    ----------
    version : F, the second publication, masked and canonical; or v1, the first, split otherwise.
    """
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
    """Uncertain FRI against FRII: 340 train, 49 test.

    Parameters
    ----------
    version : F, the second publication, masked and canonical; or v1, the first, split otherwise.
    """
    train, test = load_mirabest(data_dir, version=version)
    return Data(select(train, "uncertain"), {"test": select(test, "uncertain")})


@DATASETS.register("mirabest_hybrid")
def mirabest_hybrid(data_dir: Path | None = None, /, version: str = "F") -> Data:
    """Hybrid sources, labelled by confidence (0 confident, 1 uncertain): 30 train, 4 test.

    Parameters
    ----------
    version : F, the second publication, masked and canonical; or v1, the first, split otherwise.
    """
    train, test = load_mirabest(data_dir, version=version)
    return Data(select(train, "hybrid"), {"test": select(test, "hybrid")})


@DATASETS.register("mirabest_all")
def mirabest_all(data_dir: Path | None = None, /, version: str = "F") -> Data:
    """All FRI against all FRII, confident and uncertain: 1069 train, 153 test; hybrid test sources beside.

    Parameters
    ----------
    version : F, the second publication, masked and canonical; or v1, the first, split otherwise.
    """
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
