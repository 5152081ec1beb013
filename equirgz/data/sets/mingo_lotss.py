"""LoTSS radio galaxies at 150 MHz of Mingo et al. 2019, in batches without positions."""

from __future__ import annotations

from pathlib import Path

from equirgz.data.catalogues.classes import relabel
from equirgz.data.datasets import DATASETS
from equirgz.data.facts import MANCHESTER, SETS, SetInfo, publish
from equirgz.data.formats.pickled_batches import load_batch_set
from equirgz.data.imageset import Data
from equirgz.data.root import find_file
from equirgz.errors import check_choice

publish(
    SetInfo(
        "mingo_lotss",
        "LoTSS DR1 radio galaxies at 150 MHz with FR class and size",
        "mingo-batches-python.tar.gz",
        "5e72717d9208fea2a4712ec8b4cde9cf",
        f"{MANCHESTER}/ascaife/mingo-batches-python.tar.gz",
        "LoTSS: free use with citation",
        "Mingo et al. 2019, MNRAS 488, 2701",
        ("mingo_lotss",),
    )
)
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


@DATASETS.register("mingo_lotss")
def mingo_lotss(data_dir: Path | None = None, /, classes: str = "fr") -> Data:
    """LoTSS sources of Mingo et al. 2019: resolved FRI against FRII, or ten classes.

    Parameters
    ----------
    classes : ``fr``: resolved FRI (with wide- and narrow-angle tails) against resolved FRII; ``all``: ten classes.
    """
    check_choice("mingo_lotss classes", classes, ("fr", "all"))
    info = SETS["mingo_lotss"]
    train, test = load_batch_set(
        find_file(info.filename, data_dir), name="mingo_lotss", class_names=MINGO_CLASSES, md5=info.md5
    )
    if classes == "fr":
        train, test = (relabel(part, MINGO_FR, ("FRI", "FRII")) for part in (train, test))
    return Data(train, {"test": test})
