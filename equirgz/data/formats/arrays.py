"""The arrays of an ``.npz``."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from equirgz.errors import DataError


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read every array of an ``.npz`` without pickles; raise DataError when it is damaged."""
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path}: expected an .npz of plain arrays, got {' '.join(str(error).split())}; fetch or write it again"
        ) from error
