"""The unlabelled FIRST pool in the style of MiraBest's second version, clean of its test sources."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from equirgz.data.datasets import DATASETS
from equirgz.data.download import find_archive
from equirgz.data.facts import FIRST_TERMS, SetInfo, publish
from equirgz.data.formats.npz import load_npz
from equirgz.data.imageset import Data, ImageSet
from equirgz.errors import require

publish(
    SetInfo(
        "pool_first150",
        "Unlabelled FIRST pool in MiraBest_F style, clean of F's test sources",
        "pool_first150.npz",
        "67c21a21a3da3aa2fc5722051b9a4aa8",
        None,
        FIRST_TERMS,
        "Becker, White & Helfand 1995, ApJ 450, 559",
        ("pool_first150",),
    )
)


def load_pool(data_dir: Path | str | None = None) -> ImageSet:
    """Return the 2324 unlabelled FIRST images of ``pool_first150.npz`` (150 px of 1.8 arcsec)."""
    return load_npz(find_archive("pool_first150", data_dir), name="pool_first150", pixel_scale_arcsec=1.8)


@DATASETS.register("pool_first150")
def pool_first150(
    data_dir: Path | None = None, /, drop_mirabest_train: bool = False, n_sources: int | None = None
) -> Data:
    """Unlabelled FIRST pool in MiraBest_F style.

    Parameters
    ----------
    drop_mirabest_train : leave out the 712 objects that are in MiraBest's train part too.
    n_sources : the first so many of one fixed permutation, so that smaller pools lie inside larger ones; 1 to 2324.
    """
    pool = load_pool(data_dir)
    if drop_mirabest_train:
        pool = pool.subset(~pool.table["in_mirabest_train"].to_numpy(bool))
    if n_sources is not None:
        n = len(pool)
        require(1 <= n_sources <= n, "pool_first150 n_sources", expected=f"1 to {n}", got=n_sources)
        pool = pool.subset(np.random.default_rng(0).permutation(len(pool))[:n_sources])
    return Data(pool, {})
