"""The table of datasets by literature name.

A dataset is a function ``(data_dir, /, **params) -> Data`` that returns images as published; all
preprocessing for a network happens in :func:`equirgz.data.load_data`. A file in one of the ``ROOMS`` is found by
being there.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from pathlib import Path

from equirgz.data.imageset import Data
from equirgz.registry import Registry

ROOMS = ("sets", "own", "simulate", "simulate.spirals", "spectra")
DATASETS: Registry[Callable[..., Data]] = Registry(
    "dataset",
    tuple(
        f"equirgz.data.{room}.{module.name}"
        for room in ROOMS
        for module in pkgutil.iter_modules([str(Path(__file__).parent.joinpath(*room.split(".")))])
    ),
)


def list_datasets(pattern: str = "*") -> list[str]:
    """Return the sorted names of the registered datasets that match ``pattern``."""
    return DATASETS.names(pattern)
