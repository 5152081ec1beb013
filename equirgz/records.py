"""Truth on disk: atomic JSON files, canonical hashes, and the columns of a row.

A *row* is one measured number. Rows are plain dictionaries; :data:`ROW_COLUMNS` lists the columns
every row has, in the order in which ``rows.csv`` stores them. Axis columns of a grid that are not
listed follow in alphabetical order.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import math
import os
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

from equirgz.errors import ResultsError
from equirgz.paths import as_path

ROW_COLUMNS = (
    "grid",  # name of the grid
    "run_key",  # hash of the scientific fields of the run
    "cell_key",  # the same without seed and split_seed: runs of one cell differ only in seed
    "data",  # dataset and selection, e.g. mirabest_confident
    "backbone",  # registered name
    "group",  # "C1", "D8", ...
    "objective",  # registered name
    "augmentation",  # registered name
    "n_labels",  # labelled training sources
    "split_seed",  # who is where
    "seed",  # everything else
    "readout",  # how logits were obtained: network | linear_probe | knn | finetune | ensemble ...
    "split",  # train | val | test | test_uncertain | ...
    "metric",  # family/name
    "angle_deg",  # rotation of the input, empty where it is not part of the metric
    "value",  # the number (empty: not defined)
    "unit",  # "1", "%", "nat", "s", "byte", ...
    "direction",  # lower | higher | none: which way is better
    "n",  # sources the number was measured on
    "selection_rule",  # last_step | best_val: how the weights were chosen
    "version",  # equirgz version, with +dirty where the tree was
    "data_checksum",  # hash of the pixels and labels used
)


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys, no spaces, NaN refused: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_hash(value: Any, length: int = 16) -> str:
    """Return the first ``length`` hex digits of SHA-256 over :func:`canonical_json`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


def recipe_text(word: str, settings: Any) -> str:
    """Return the fields of a dataclass as ``word(field=value, ...)``, for recipes and checksums.

    The word is given, so that a class can be renamed in the code and what it made before is known again.
    """
    return f"{word}({', '.join(f'{item.name}={getattr(settings, item.name)!r}' for item in fields(settings))})"


def finite_or_none(value: float) -> float | None:
    """Return ``value``, or None where it is NaN or infinite (JSON has neither)."""
    return float(value) if math.isfinite(value) else None


def write_bytes_atomic(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` by rename, so that readers see all of it or nothing.

    Raises ResultsError when the folder cannot be written or the disk is full; the old file, if
    any, is then untouched.
    """
    path = as_path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = file.name
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        raise ResultsError(
            f"cannot write {path}: {error.strerror or error}; choose a writable folder with free space"
        ) from error


def gzip_bytes(content: bytes) -> bytes:
    """Return ``content`` as a gzip file without name and date: the same bytes give the same file."""
    stream = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0, compresslevel=9) as file:
        file.write(content)
    return stream.getvalue()


def write_json_atomic(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON by atomic rename (see :func:`write_bytes_atomic`)."""
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False)
    write_bytes_atomic(path, (text + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file; a damaged one is a ResultsError that names the file and the place."""
    try:
        return json.loads(as_path(path).read_text())
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ResultsError(f"{path} is not whole JSON ({error}); delete it and run again") from error
