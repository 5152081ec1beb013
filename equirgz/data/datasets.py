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
        "equirgz.data.sets.batch_sets",
        "equirgz.data.sets.digits",
        "equirgz.data.sets.own_images",
        "equirgz.data.sets.mightee",
        "equirgz.data.sets.mirabest",
        "equirgz.data.sets.mirabest_raw",
        "equirgz.data.formats.npz",
        "equirgz.data.sets.optical",
        "equirgz.data.sets.radio_galaxy_dataset",
        "equirgz.data.sets.rgz",
        "equirgz.data.sets.shift_tasks",
        "equirgz.data.simulate.synthetic",
        "equirgz.data.simulate.synthetic_votes",
    ),
)


def list_datasets(pattern: str = "*") -> list[str]:
    """Return the sorted names of the registered datasets that match ``pattern``."""
    return DATASETS.names(pattern)
