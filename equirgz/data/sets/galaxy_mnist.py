"""Galaxy MNIST: colour images of four optical morphologies, drawn from Galaxy Zoo DECaLS."""

from __future__ import annotations

from pathlib import Path

from equirgz.data.datasets import DATASETS
from equirgz.data.facts import GZ_DECALS, MANCHESTER, SETS, SetInfo, publish
from equirgz.data.formats.galaxy_hdf5 import load_galaxy_hdf5
from equirgz.data.imageset import Data
from equirgz.data.root import find_file

publish(
    SetInfo(
        "galaxy_mnist_train",
        "Galaxy MNIST, train part: 8000 colour images, 64 px, 4 optical morphologies",
        "train_dataset.hdf5.gz",
        None,
        f"{MANCHESTER}/MiraBest/MiraBest_F/train_dataset.hdf5.gz",
        "see its authors",
        GZ_DECALS,
        ("galaxy_mnist",),
    )
)
publish(
    SetInfo(
        "galaxy_mnist_test",
        "Galaxy MNIST, test part: 2000 colour images, 64 px, 4 optical morphologies",
        "test_dataset.hdf5.gz",
        None,
        f"{MANCHESTER}/MiraBest/MiraBest_F/test_dataset.hdf5.gz",
        "see its authors",
        GZ_DECALS,
        ("galaxy_mnist",),
    )
)
GALAXY_MNIST_CLASSES = ("smooth_round", "smooth_cigar", "edge_on_disk", "unbarred_spiral")


@DATASETS.register("galaxy_mnist")
def galaxy_mnist(data_dir: Path | None = None, /, size: int | None = None) -> Data:
    """Galaxy MNIST: 8000 train and 2000 test colour images of 64 px in four morphologies.

    Parameters
    ----------
    size : side to which the images are averaged down, pixels; None: 64, as published.
    """
    parts = {}
    for part in ("train", "test"):
        path = find_file(SETS[f"galaxy_mnist_{part}"].filename, data_dir)
        parts[part] = load_galaxy_hdf5(
            path, class_names=GALAXY_MNIST_CLASSES, labels="labels", size=size, name=f"galaxy_mnist_{part}"
        )
    return Data(parts["train"], {"test": parts["test"]})
