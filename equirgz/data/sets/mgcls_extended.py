"""Extended sources of the MeerKAT Galaxy Cluster Legacy Survey: real images without classes, some with a rating.

Legend: N sources.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from equirgz.data.datasets import DATASETS
from equirgz.data.facts import SETS, SetInfo, publish
from equirgz.data.formats.arrays import read_arrays
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.preprocess import fit_size, resample
from equirgz.data.root import check_md5, find_file
from equirgz.errors import DataError, require

publish(
    SetInfo(
        "mgcls_extended",
        "Extended MeerKAT sources (MGCLS, 1.28 GHz) without classes, 1031 with a rating of strangeness",
        "mgcls_extended.npz",
        "f9ef85caa78fa46c8168426cdb1b0182",
        None,
        "BSD-3-Clause, copyright (c) 2024 Michelle Lochner",
        "cutouts and ratings: arXiv 2411.04188; survey: Knowles et al. 2022, A&A 657, A56, arXiv 2111.05673",
        ("mgcls_extended",),
        notes="4470 of 6161 published cutouts of 128 px, the colour map undone. A cutout grows with its source, so the "
        "angular scale differs. 3.9 % of the pixels are saturated. Two sources lie near MiraBest F train sources.",
    )
)
_COLUMNS = ("size_px", "peak_jy_per_beam", "anomaly_score")
_FIELD_PX, _PIXEL_SCALE_ARCSEC = 150, 1.8  # those of FIRST cutouts


@DATASETS.register("mgcls_extended")
def mgcls_extended(
    data_dir: Path | None = None,
    /,
    as_published: bool = False,
    scale: float = 0.75,
    min_size_px: int = 36,
    scored: bool = False,
) -> Data:
    """Extended MeerKAT sources at 1.28 GHz, without labels; ratings by people in the table of some.

    The published cutouts are 128 px of a box that grows with the source, so that their angular scale differs from
    source to source. Here they are resampled to ``scale * size_px`` pixels (at most 150) in the centre of a blank field
    of 150 px, which gives sources about the sizes that they have on FIRST images of 1.8 arcsec: about, since
    the published cutouts do not hold their scale.

    Parameters
    ----------
    as_published : leave the cutouts as they are, 128 px without a scale on the sky.
    scale : side of a resampled cutout over ``size_px``.
    min_size_px : smallest ``size_px`` taken; rated sources of any size are taken where ``scored``.
    scored : only the 1031 sources with an ``anomaly_score`` (1 ordinary to 5 strange; -1 in the table: not rated).

    The table has ``size_px`` (of the source's box, pixels of the survey), ``peak_jy_per_beam`` and ``anomaly_score``.
    Raises InputError where nothing is left, DataError for a file that is not this set.
    """
    require(0.01 <= scale <= 10, "mgcls_extended scale", expected="a number from 0.01 to 10", got=scale)
    images = load_mgcls(data_dir)
    score_N, size_N = (images.table[name].to_numpy() for name in ("anomaly_score", "size_px"))
    kept_N = score_N >= 0 if scored else size_N >= min_size_px
    largest = int(size_N.max())
    require(kept_N.any(), "mgcls_extended min_size_px", expected=f"at most {largest}", got=min_size_px)
    images = images.subset(kept_N)
    return Data(images if as_published else _as_on_first(images, scale), {})


def load_mgcls(data_dir: Path | str | None = None) -> ImageSet:
    """Return the 4470 published cutouts of 128 px with positions and table."""
    info = SETS["mgcls_extended"]
    path = find_file(info.filename, data_dir)
    check_md5(path, info.md5)
    arrays = read_arrays(path)
    missing = [name for name in ("image", "source_id", "ra_deg", "dec_deg", *_COLUMNS) if name not in arrays]
    if missing:
        raise DataError(str(path), expected="the arrays of mgcls_extended", got=f"no {missing[0]}")
    n = len(arrays["image"])
    return ImageSet(
        "mgcls_extended",
        arrays["image"],
        np.full(n, -1),
        arrays["source_id"],
        position_deg_N2=np.stack([arrays["ra_deg"], arrays["dec_deg"]], 1),
        table=pd.DataFrame({name: arrays[name] for name in _COLUMNS}),
    )


def _as_on_first(images: ImageSet, scale: float) -> ImageSet:
    side_N = 2 * np.round(scale * images.table["size_px"].to_numpy() / 2).astype(int)
    side_N = side_N.clip(8, _FIELD_PX)
    field_NHW = np.zeros((len(images), _FIELD_PX, _FIELD_PX), np.uint8)
    for side in np.unique(side_N):
        chosen_N = side_N == side
        small_nHW = resample(images.image_NHW[chosen_N], int(side))
        field_NHW[chosen_N] = fit_size(np.rint(small_nHW), _FIELD_PX).astype(np.uint8)
    return replace(images, image_NHW=field_NHW, pixel_scale_arcsec=_PIXEL_SCALE_ARCSEC)
