"""A cache of arrays keyed by content: equal inputs give one file, and no half-written file is ever seen."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equirgz.data.root import user_cache_dir
from equirgz.errors import DataError, ResultsError
from equirgz.paths import as_path
from equirgz.records import content_hash, write_bytes_atomic

if TYPE_CHECKING:
    import numpy as np


def cache_dir() -> Path:
    """Return the folder of cached arrays: ``EQUIRGZ_CACHE``, else inside the per-user cache."""
    chosen = os.environ.get("EQUIRGZ_CACHE")
    return as_path(chosen) if chosen else user_cache_dir() / "arrays"


def cached_arrays(
    key: Any, make: Callable[[], dict[str, np.ndarray]], *, folder: Path | None = None
) -> dict[str, np.ndarray]:
    """Return the arrays that ``make`` gives, from the cache when ``key`` (JSON-able) was met before.

    The key must hold everything the arrays depend on: file hashes, settings, a version. A damaged
    entry is made anew; a folder that cannot be written costs the speed, never the result.
    """
    import numpy as np

    from equirgz.data.formats.arrays import read_arrays

    path = (cache_dir() if folder is None else folder) / f"{content_hash(key, 32)}.npz"
    if path.is_file():
        try:
            return read_arrays(path)
        except DataError:
            path.unlink(missing_ok=True)
    arrays = make()
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    try:
        write_bytes_atomic(path, buffer.getvalue())
    except ResultsError:
        return arrays
    return arrays


def clear_cache(folder: Path | None = None) -> int:
    """Delete every cached array; return how many files went."""
    folder = cache_dir() if folder is None else folder
    files = list(folder.glob("*.npz")) if folder.is_dir() else []
    for file in files:
        file.unlink()
    return len(files)
