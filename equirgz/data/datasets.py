"""The table of datasets by literature name.

A dataset is a function ``(data_dir, /, **params) -> Data`` that returns images as published; all
preprocessing for a network happens in :func:`equirgz.data.load_data`.
"""

from __future__ import annotations

from collections.abc import Callable

from equirgz.data.imageset import Data
from equirgz.registry import Registry

DATASETS: Registry[Callable[..., Data]] = Registry(
    "dataset",
    (
        "equirgz.data.batch_sets",
        "equirgz.data.digits",
        "equirgz.data.generic",
        "equirgz.data.mightee",
        "equirgz.data.mirabest",
        "equirgz.data.mirabest_raw",
        "equirgz.data.npz",
        "equirgz.data.optical",
        "equirgz.data.radio_galaxy_dataset",
        "equirgz.data.rgz",
        "equirgz.data.shift_tasks",
        "equirgz.data.synthetic",
        "equirgz.data.votes",
    ),
)


def list_datasets(pattern: str = "*") -> list[str]:
    """Return the sorted names of the registered datasets that match ``pattern``."""
    return DATASETS.names(pattern)
