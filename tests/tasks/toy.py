"""Blobs of which everything can be asked: a class, votes, a size, tags, a mask, the image without its noise."""

from __future__ import annotations

import numpy as np
import pandas as pd

from equirgz.data.imageset import Data, ImageSet

#: task -> its options, for the sources of :func:`make_blobs`
PARAMS = {
    "classification": {},
    "votes": {"questions": [2]},
    "regression": {"targets": ["las_arcsec"], "log": ["las_arcsec"]},
    "multilabel": {"tags": ["large", "bright"]},
    "segmentation": {},
    "image_to_image": {},
    "denoising": {"low": 0.05, "high": 5.0, "n_levels": 3},
    "several": {"tasks": [{"name": "classification"}, {"name": "regression", "params": {"targets": ["las_arcsec"]}}]},
}
DENSE = ("segmentation", "image_to_image")


def make_blobs(n: int = 16, size: int = 17, seed: int = 0, name: str = "blobs", dense: str = "") -> ImageSet:
    """Return round Gaussians of random width; with ``dense`` the maps of that task.

    Every eighth source lacks its size, votes and one tag; a corner of every mask was not asked.
    """
    rng = np.random.default_rng(seed)
    width_N, peak_N = rng.uniform(1.2, 4.5, n), rng.uniform(0.5, 1.0, n)
    axis = np.arange(size) - (size - 1) / 2
    radius2_HW = axis[:, None] ** 2 + axis[None] ** 2
    clean_NHW = peak_N[:, None, None] * np.exp(-radius2_HW / (2 * width_N[:, None, None] ** 2))
    large_N, bright_N, lacks_N = width_N > 2.8, peak_N > 0.75, np.arange(n) % 8 == 3
    las_N = np.where(lacks_N, np.nan, 10 * width_N)
    votes_N2 = np.where(lacks_N[:, None], np.nan, np.stack([9 - 8 * large_N, 1 + 8 * large_N], 1))
    columns = {"las_arcsec": las_N, "large": large_N.astype(float), "bright": np.where(lacks_N, np.nan, bright_N)}
    columns |= {f"vote_0_{a}": votes_N2[:, a] for a in (0, 1)}
    mask_NHW = (radius2_HW < (1.5 * width_N[:, None, None]) ** 2).astype(np.float32)
    mask_NHW[:, :2, :2] = np.nan
    maps = {"segmentation": mask_NHW, "image_to_image": clean_NHW}.get(dense)
    return ImageSet(
        name,
        (clean_NHW + rng.normal(0, 0.03, clean_NHW.shape)).astype(np.float32),
        large_N.astype(int),
        np.array([f"{name}_{i}" for i in range(n)]),
        ("small", "large"),
        table=pd.DataFrame(columns),
        of_sky=False,
        map_NKHW=None if maps is None else maps[:, None],
        map_names=() if maps is None else ("part",),
    )


def toy_blobs(data_dir=None, /, n: int = 16, dense: str = "") -> Data:
    """Blobs as a data set.

    Parameters
    ----------
    n : sources, in training and in test.
    dense : the task whose maps they have.
    """
    parts = {name: make_blobs(n, seed=k, name=f"blobs/{name}", dense=dense) for k, name in enumerate(("train", "test"))}
    return Data(parts["train"], {"test": parts["test"]})
