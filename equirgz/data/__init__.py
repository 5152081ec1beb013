"""Images of radio galaxies from archives, folders, mosaics or the simulator: one loader for all.

>>> from equirgz.data import load_data
>>> data = load_data("synthetic_fr", params={"n_train": 8, "n_test": 4})
>>> data.train.image_NHW.shape
(8, 65, 65)
"""

from __future__ import annotations

import importlib
from typing import Any

_EXPORTS = {  # imported on first use: notes and names of data sets need neither pandas nor scipy
    "DATASETS": "equirgz.data.datasets",
    "Data": "equirgz.data.imageset",
    "ImageSet": "equirgz.data.imageset",
    "Split": "equirgz.data.splits.labelled",
    "data_root": "equirgz.data.root",
    "list_datasets": "equirgz.data.datasets",
    "load_data": "equirgz.data.load",
    "make_split": "equirgz.data.splits.labelled",
    "split_data": "equirgz.data.splits.folds",
}
__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module 'equirgz.data' has no attribute {name!r}")
