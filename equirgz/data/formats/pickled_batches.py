"""Archives of pickled image batches (``data_batch_1`` ..., ``test_batch``, ``batches.meta``).

MiraBest, FR-DEEP, RGZ and LoTSS sets are published in this layout: every batch is a mapping with
``data`` (N arrays of H x W uint8, some flattened), ``filenames``, mostly ``labels``, and extras of its own.
"""

from __future__ import annotations

import math
import re
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from equirgz.data.formats.archive import iterate_members, load_pickle
from equirgz.data.imageset import ImageSet
from equirgz.data.root import check_md5
from equirgz.errors import DataError
from equirgz.paths import as_path


def read_batches(path: Path, md5: str | None = None) -> dict[str, dict[str, Any]]:
    """Return ``{batch name: fields}`` in the order data_batch_1, 2, ..., test_batch.

    ``data`` becomes one array (N, H, W) uint8, or (N, C, H, W); every other list of length N stays
    a list. Raises DataError for a wrong ``md5``, a damaged archive, a hostile pickle, an archive
    without batches or a batch whose lists disagree in length.
    """
    path = as_path(path)
    if md5 is not None:
        check_md5(path, md5)
    batches: dict[str, dict[str, Any]] = {}
    for member, content in iterate_members(path):
        name = PurePosixPath(member).name
        if re.fullmatch(r"data_batch_\d+|test_batch", name):
            batches[name] = parse_batch(load_pickle(content, f"{path}:{member}"), f"{path}:{member}")
    if not batches:
        raise DataError(f"{path}: expected members data_batch_1 ... and test_batch, got none; is it the right file?")
    return dict(sorted(batches.items(), key=lambda item: _batch_order(item[0])))


def _batch_order(name: str) -> tuple[int, int]:
    return (1, 0) if name == "test_batch" else (0, int(name.rsplit("_", 1)[1]))


def parse_batch(fields: Any, source: str) -> dict[str, Any]:
    """Return one unpickled batch with ``data`` as one uint8 array; raise DataError where it is misshapen."""
    if not isinstance(fields, dict) or "data" not in fields:
        raise DataError(source, expected="a mapping with the key 'data'", got=type(fields).__name__)
    try:
        data_NHW = np.stack([np.asarray(image) for image in fields["data"]])
    except ValueError as error:
        raise DataError(f"{source}: expected images of one shape, got {error}") from error
    side = math.isqrt(data_NHW.shape[-1])
    if data_NHW.ndim == 2 and side * side == data_NHW.shape[1]:
        data_NHW = data_NHW.reshape(-1, side, side)
    if data_NHW.dtype != np.uint8 or data_NHW.ndim not in (3, 4):
        raise DataError(source, expected="uint8 images (N, H, W)", got=f"{data_NHW.dtype} {data_NHW.shape}")
    parsed = {**fields, "data": data_NHW}
    for key in ("labels", "filenames", "src_ids", "mb_flag", "LAS"):
        if key in fields and len(fields[key]) != len(data_NHW):
            raise DataError(f"{source}: {key!r}", expected=len(data_NHW), got=len(fields[key]))
    return parsed


def join_batches(batches: dict[str, dict[str, Any]], *, test: bool) -> dict[str, Any]:
    """Concatenate the train batches, or take the test batch; adds ``batch_name`` per image."""
    chosen = {name: fields for name, fields in batches.items() if (name == "test_batch") == test}
    if not chosen:
        raise DataError(f"expected {'test_batch' if test else 'data_batch_N'} in the archive, got {sorted(batches)}")
    joined: dict[str, Any] = {"data": np.concatenate([fields["data"] for fields in chosen.values()])}
    for key in next(iter(chosen.values())):
        if key in ("data", "batch_label"):
            continue
        values = [fields[key] for fields in chosen.values()]
        if all(len(v) == len(fields["data"]) for v, fields in zip(values, chosen.values(), strict=True)):
            joined[key] = [item for v in values for item in v]
    joined["batch_name"] = [name for name, fields in chosen.items() for _ in range(len(fields["data"]))]
    return joined


def load_batch_set(
    path: Path | str,
    *,
    name: str,
    class_names: tuple[str, ...],
    pixel_scale_arcsec: float = float("nan"),
    md5: str | None = None,
    class_in_id: bool = False,
) -> tuple[ImageSet, ImageSet]:
    """Return the train and test part of an archive of labelled batches; ids are the published file names.

    ``class_in_id`` puts the class before them, where the classes were numbered separately: ``FRI_37_example``.
    """
    batches = read_batches(as_path(path), md5)
    parts = []
    for test in (False, True):
        fields = join_batches(batches, test=test)
        part = f"{name}/{'test' if test else 'train'}"
        if "labels" not in fields:
            raise DataError(f"{path}: expected labels in every batch, got batches without")
        stems = [PurePosixPath(str(file)).stem for file in fields.get("filenames", [])]
        if class_in_id:
            stems = [f"{class_names[k]}_{stem}" for k, stem in zip(fields["labels"], stems, strict=True)]
        ids = _unique(stems, len(fields["data"]), part)
        parts.append(
            ImageSet(
                part,
                fields["data"],
                np.asarray(fields["labels"]),
                ids,
                class_names,
                pixel_scale_arcsec,
                table=pd.DataFrame({"batch": fields["batch_name"]}),
            )
        )
    return parts[0], parts[1]


def _unique(stems: list[str], n: int, part: str) -> np.ndarray:
    """Return the stems with _2, _3 ... behind repeated ones; numbered ids where there are no names."""
    if not stems:
        return np.array([f"{part.replace('/', '_')}_{i:06d}" for i in range(n)])
    seen: dict[str, int] = {}
    ids = []
    for stem in stems:
        seen[stem] = seen.get(stem, 0) + 1
        ids.append(stem if seen[stem] == 1 else f"{stem}_{seen[stem]}")
    return np.array(ids)
