"""Galaxy Zoo Evo: colour images of galaxies in Parquet shards."""

from __future__ import annotations

from pathlib import Path

from equirgz.data.datasets import DATASETS
from equirgz.data.facts import SetInfo, publish
from equirgz.data.formats.containers import load_parquet
from equirgz.data.imageset import Data
from equirgz.data.root import find_own
from equirgz.data.splits.test_part import split_off_test

publish(
    SetInfo(
        "gz_evo",
        "Galaxy Zoo Evo: colour images of galaxies with volunteers' answers",
        "",
        None,
        "https://huggingface.co/datasets/mwalmsley/gz_evo",
        None,
        "Galaxy Zoo Evo: 1 million human-annotated images of galaxies, 2025, openreview.net/forum?id=8HxzgdrXhG",
        ("gz_evo",),
        notes="A folder of Parquet shards, named by params.path: no one file, so no md5. The licence is stated with "
        "the data set and was not verified.",
    )
)


@DATASETS.register("gz_evo")
def gz_evo(
    data_dir: Path | None = None,
    /,
    path: str = "gz_evo",
    label_column: str | None = None,
    size: int = 64,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Data:
    """GZ Evo shards: Parquet files with an ``image`` column of encoded images.

    Parameters
    ----------
    path : of a shard or a folder of shards, as it stands or inside the data root.
    label_column : column of class names or whole numbers; None: no labels, and no test part.
    size : side to which the images are averaged down, pixels.
    test_fraction : share of the sources, the last of one stratified order, that tests; 0 <= share < 1.
    seed : of that order.
    """
    location = find_own(path, data_dir)
    images = load_parquet(location, label_column=label_column or "", size=size, name="gz_evo", colour=True)
    return Data(images, {}) if label_column is None else split_off_test(images, test_fraction, seed)
