"""Galaxy10 DECaLS: colour images of ten optical morphologies, with positions."""

from __future__ import annotations

from pathlib import Path

from equirgz.data.datasets import DATASETS
from equirgz.data.download import find_archive
from equirgz.data.facts import GZ_DECALS, SetInfo, publish
from equirgz.data.formats.galaxy_hdf5 import load_galaxy_hdf5
from equirgz.data.imageset import Data
from equirgz.data.splits.test_part import split_off_test

publish(
    SetInfo(
        "galaxy10_decals",
        "Galaxy10 DECaLS: 17736 colour images, 256 px, 10 optical morphologies",
        "Galaxy10_DECals.h5",
        None,
        "https://astro.utoronto.ca/~hleung/shared/Galaxy10/Galaxy10_DECals.h5",
        "see its authors",
        f"Leung & Bovy; {GZ_DECALS}",
        ("galaxy10",),
        sha256="19aefc477c41bb7f77ff07599a6b82a038dc042f889a111b0d4d98bb755c1571",
    )
)
GALAXY10_CLASSES = (
    "disturbed",
    "merging",
    "round_smooth",
    "in_between_round_smooth",
    "cigar_smooth",
    "barred_spiral",
    "unbarred_tight_spiral",
    "unbarred_loose_spiral",
    "edge_on_without_bulge",
    "edge_on_with_bulge",
)


@DATASETS.register("galaxy10")
def galaxy10(data_dir: Path | None = None, /, size: int = 64, test_fraction: float = 0.2, seed: int = 0) -> Data:
    """Galaxy10 DECaLS: 17736 colour images of 256 px in ten morphologies.

    Parameters
    ----------
    size : side to which the images are averaged down, pixels, at most 256.
    test_fraction : share of the sources, the last of one stratified order, that tests; 0 <= share < 1.
    seed : of that order.
    """
    images = load_galaxy_hdf5(
        find_archive("galaxy10_decals", data_dir),
        class_names=GALAXY10_CLASSES,
        labels="ans",
        size=size,
        extras=("redshift", "pxscale"),
        name="galaxy10",
    )
    return split_off_test(images, test_fraction, seed)
