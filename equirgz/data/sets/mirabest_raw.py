"""MiraBest from raw FIRST maps: the sparse archive of 300-pixel cutouts, or a folder of FITS files.

The published recipe applied to the raw maps gives at least 1253 of the 1256 published images bit for
bit; the rest were published from other fields or with noise alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from equirgz.data.datasets import DATASETS
from equirgz.data.download import find_archive
from equirgz.data.facts import FIRST_TERMS, SetInfo, publish
from equirgz.data.formats.arrays import read_arrays
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.recipes import cut_recipe, iterate_blocks
from equirgz.data.sets.mirabest import CODES, FAULTS, PIXEL_SCALE_ARCSEC, load_mirabest, parse_name, select
from equirgz.errors import DataError, check_choice

SIZE = 300
publish(
    SetInfo(
        "mirabest_raw",
        "The raw FIRST cutouts behind MiraBest: 300 px, pixels above 3 sigma, Jy/beam",
        "mirabest_first_sparse300.npz",
        "37c9e332f290c2cb256d385f1ff1f1aa",
        None,
        FIRST_TERMS,
        "Becker, White & Helfand 1995, ApJ 450, 559",
        ("mirabest_raw",),
        FAULTS,
    )
)


@dataclass(frozen=True)
class SparseMaps:
    """Maps of which only the pixels above 3 sigma are kept; the others count as 0.

    ``index_D`` holds, source after source, flat pixel indices coded as differences; source i owns
    ``pointer_N1[i]:pointer_N1[i + 1]``. ``value_D`` and ``rms_N`` are Jy/beam.
    """

    index_D: np.ndarray
    value_D: np.ndarray
    pointer_N1: np.ndarray
    rms_N: np.ndarray
    source_id_N: np.ndarray

    def __len__(self) -> int:
        return len(self.rms_N)

    def maps(self, rows: slice) -> np.ndarray:
        """Return the maps (n, 300, 300) of a slice of sources, float32, Jy/beam."""
        chosen = range(*rows.indices(len(self)))
        out = np.zeros((len(chosen), SIZE * SIZE), np.float32)
        for k, i in enumerate(chosen):
            part = slice(self.pointer_N1[i], self.pointer_N1[i + 1])
            out[k, np.cumsum(self.index_D[part])] = self.value_D[part]
        return out.reshape(-1, SIZE, SIZE)


def load_sparse_maps(data_dir: Path | str | None = None) -> SparseMaps:
    """Read ``mirabest_first_sparse300.npz`` from the data root; the md5 is checked."""
    path = find_archive("mirabest_raw", data_dir)
    arrays = read_arrays(path)
    missing = {"didx", "val", "ptr", "rms", "name"} - set(arrays)
    if missing:
        raise DataError(str(path), expected="arrays didx, val, ptr, rms, name", got=sorted(arrays))
    return SparseMaps(arrays["didx"], arrays["val"], arrays["ptr"], arrays["rms"], arrays["name"])


def iterate_raw_maps(
    data_dir: Path | str | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield ``(source_id_n, map_n, rms_n)`` in blocks of 64 sources."""
    sparse = load_sparse_maps(data_dir)
    for rows in iterate_blocks(len(sparse)):
        yield sparse.source_id_N[rows], sparse.maps(rows), sparse.rms_N[rows]


def load_mirabest_raw(
    data_dir: Path | str | None = None, *, recipe: str = "mirabest_f", crop_arcsec: float | None = None
) -> ImageSet:
    """Return all 1256 sources as a named recipe makes them from the raw maps, with the ten classes.

    The maps are cut to ``crop_arcsec`` before they are scaled, if at all; at most 540 arcsec.
    """
    chosen = cut_recipe(recipe, crop_arcsec=crop_arcsec, pixel_scale_arcsec=PIXEL_SCALE_ARCSEC)
    ids, images = [], []
    for source_id_n, map_n, rms_n in iterate_raw_maps(data_dir):
        ids.append(source_id_n)
        images.append(chosen(map_n, std_N=rms_n if chosen.rms_jy_per_beam is None else None))
    source_id_N = np.concatenate(ids)
    table = pd.DataFrame([parse_name(str(name)) for name in source_id_N])
    return ImageSet(
        name=f"mirabest_raw/{recipe}",
        image_NHW=np.concatenate(images),
        label_N=np.array([CODES.index(code) for code in table["code"]]),
        source_id_N=source_id_N,
        class_names=CODES,
        pixel_scale_arcsec=PIXEL_SCALE_ARCSEC,
        position_deg_N2=table[["ra_deg", "dec_deg"]].to_numpy(),
        table=table,
        cut_arcsec=crop_arcsec,
    )


@DATASETS.register("mirabest_raw")
def mirabest_raw(
    data_dir: Path | None = None,
    /,
    selection: str = "confident",
    recipe: str = "mirabest_f",
    version: str = "F",
    crop_arcsec: float | None = None,
) -> Data:
    """MiraBest made from raw maps by a named recipe, with the split of a published version.

    Parameters
    ----------
    selection : confident, uncertain, hybrid or all: as the registered names of MiraBest.
    recipe : that makes 8-bit images of the maps: mirabest_f or rgz_dr1.
    version : whose split: F, the second publication, or v1, the first.
    crop_arcsec : side of the cut on the sky, arcsec, made before the recipe scales; None: 150 px.
    """
    check_choice("recipe of 8-bit images", recipe, ("mirabest_f", "rgz_dr1"))
    images = load_mirabest_raw(data_dir, recipe=recipe, crop_arcsec=crop_arcsec)
    place = {str(source): i for i, source in enumerate(images.source_id_N)}
    parts = []
    for published in load_mirabest(data_dir, version=version):
        index = [place[str(source)] for source in published.source_id_N if str(source) in place]
        parts.append(select(images.subset(np.array(index), name=published.name.replace("mirabest", "raw")), selection))
    return Data(parts[0], {"test": parts[1]})
