"""Radio Galaxy Zoo DR1: unlabelled FIRST cutouts in batches, with the published cuts.

Every batch holds ``data``, ``filenames``, ``src_ids`` and, in the 108k version, ``mb_flag`` (1: the
source is in MiraBest) and ``LAS`` (largest angular size, arcsec). The cuts are applied in the
published order (arXiv 2305.16127): exact pixel duplicates, LAS above a threshold, not in MiraBest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from equirgz.data.datasets import DATASETS
from equirgz.data.facts import FIRST_TERMS, MANCHESTER, SETS, SetInfo, publish
from equirgz.data.formats.archive import iterate_members, load_pickle
from equirgz.data.formats.pickled_batches import parse_batch
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.root import check_md5, find_file
from equirgz.data.sky.position import parse_position
from equirgz.errors import DataError, check_choice
from equirgz.paths import as_path

PIXEL_SCALE_ARCSEC = 1.8
publish(
    SetInfo(
        "rgz_108k",
        "Radio Galaxy Zoo DR1 cutouts in FIRST, 108k images without labels",
        "rgz108k-batches-python.tar.gz",
        "3fef587aa2aa3ece3b01b125977ae19d",
        None,
        FIRST_TERMS,
        "Slijepcevic et al. 2024, arXiv 2305.16127",
        ("rgz_dr1",),
        notes="No public address: ask its authors. Published cuts: no duplicates, LAS > 25 arcsec, not in MiraBest.",
    )
)
publish(
    SetInfo(
        "rgz_20k",
        "Radio Galaxy Zoo cutouts in FIRST, 20k images without labels",
        "rgz20k-batches-python.tar.gz",
        "3a85fb4167fb08619e36e77bbba40896",
        f"{MANCHESTER}/ascaife/rgz20k-batches-python.tar.gz",
        FIRST_TERMS,
        "Slijepcevic et al. 2022, MNRAS 514, 2599",
        ("rgz_dr1",),
    )
)


def load_rgz(
    path: Path | str,
    *,
    md5: str | None = None,
    las_min_arcsec: float | None = 25.0,
    drop_duplicates: bool = True,
    drop_mirabest: bool = True,
) -> ImageSet:
    """Return the images that pass the cuts, uint8, without labels.

    Batches are read one at a time and cut at once, so that memory holds the kept images (1.1 GB for
    all of DR1 above 25 arcsec) and one batch. ``las_min_arcsec`` is strict (LAS > threshold); None
    keeps all. Duplicates are found by a hash of the pixels; the first one stays. Cuts that need a
    column which the archive lacks are refused. Raises DataError for damaged or hostile archives.
    """
    path = as_path(path)
    if md5 is not None:
        check_md5(path, md5)
    seen: set[bytes] = set()
    images: list[np.ndarray] = []
    rows: list[pd.DataFrame] = []
    n_read = 0
    for member, content in _batch_members(path):
        fields = parse_batch(load_pickle(content, f"{path}:{member}"), f"{path}:{member}")
        n_read += len(fields["data"])
        keep_N = _first_seen(fields["data"], seen) if drop_duplicates else np.ones(len(fields["data"]), bool)
        if las_min_arcsec is not None:
            keep_N &= _column(fields, "LAS", f"{path}:{member}", "las_min_arcsec: null") > las_min_arcsec
        if drop_mirabest:
            keep_N &= _column(fields, "mb_flag", f"{path}:{member}", "drop_mirabest: false") == 0
        images.append(fields["data"][keep_N])
        rows.append(_table(fields, PurePosixPath(member).name).loc[keep_N])
    if not images:
        raise DataError(f"{path}: expected members data_batch_1 ... and test_batch, got none; is it the right file?")
    table = pd.concat(rows, ignore_index=True)
    if not len(table):
        raise DataError(f"{path}: expected sources that pass the cuts, got none of {n_read}; loosen the cuts")
    position = table.pop("ra_deg"), table.pop("dec_deg")
    return ImageSet(
        "rgz_dr1",
        np.concatenate(images),
        np.full(len(table), -1),
        _unique_ids(table.pop("source_id")),
        (),
        PIXEL_SCALE_ARCSEC,
        np.stack(position, 1),
        table,
    )


def _batch_members(path: Path) -> Iterator[tuple[str, bytes]]:
    for member, content in iterate_members(path):
        if re.fullmatch(r"data_batch_\d+|test_batch", PurePosixPath(member).name):
            yield member, content


def _first_seen(data_NHW: np.ndarray, seen: set[bytes]) -> np.ndarray:
    keep_N = np.zeros(len(data_NHW), bool)
    for i, image in enumerate(data_NHW):
        digest = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
        if digest not in seen:
            seen.add(digest)
            keep_N[i] = True
    return keep_N


def _column(fields: dict[str, Any], key: str, source: str, mend: str) -> np.ndarray:
    if key not in fields:
        raise DataError(f"{source}: expected the column {key!r} for this cut, got {sorted(fields)}; set {mend}")
    return np.asarray(fields[key], dtype=np.float64)


def _table(fields: dict[str, Any], batch: str) -> pd.DataFrame:
    """Return ids, positions (from names such as ``...123.456-01.234...``, else NaN) and sizes of a batch."""
    n = len(fields["data"])
    names = [PurePosixPath(str(name)).stem for name in fields.get("filenames", [""] * n)]
    position_N2 = np.array([parse_position(name) for name in names]).reshape(-1, 2)
    ids = [str(i) for i in fields["src_ids"]] if "src_ids" in fields else names
    return pd.DataFrame(
        {
            "source_id": [source or f"{batch}_{k:05d}" for k, source in enumerate(ids)],
            "ra_deg": position_N2[:, 0],
            "dec_deg": position_N2[:, 1],
            "filename": names,
            "las_arcsec": np.asarray(fields["LAS"], float) if "LAS" in fields else np.nan,
            "in_mirabest": np.asarray(fields["mb_flag"]).astype(bool) if "mb_flag" in fields else False,
            "batch": batch,
        }
    )


def _unique_ids(ids: pd.Series) -> np.ndarray:
    repeat = ids.groupby(ids).cumcount()
    return np.where(repeat > 0, ids + "_" + (repeat + 1).astype(str), ids).astype(str)


@DATASETS.register("rgz_dr1")
def rgz_dr1(
    data_dir: Path | None = None,
    /,
    version: str = "108k",
    las_min_arcsec: float | None = 25.0,
    drop_duplicates: bool = True,
    drop_mirabest: bool = True,
) -> Data:
    """Radio Galaxy Zoo DR1 without labels, 150 px of 1.8 arcsec.

    Parameters
    ----------
    version : 108k, with sizes, or 20k, without.
    las_min_arcsec : keep sources of a largest angular size above it, arcsec; None: all.
    drop_duplicates : keep the first of images with equal pixels.
    drop_mirabest : leave out the sources that the archive says are in MiraBest.
    """
    info = SETS["rgz_" + check_choice("rgz_dr1 version", version, ("108k", "20k"))]
    images = load_rgz(
        find_file(info.filename, data_dir),
        md5=info.md5,
        las_min_arcsec=las_min_arcsec,
        drop_duplicates=drop_duplicates,
        drop_mirabest=drop_mirabest,
    )
    return Data(images, {})
