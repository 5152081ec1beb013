"""Where data lie: ``--data-dir``, else ``EQUIRGZ_DATA``, else a per-user cache folder."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from equirgz.errors import DataError
from equirgz.paths import as_path

ENVIRONMENT_VARIABLE = "EQUIRGZ_DATA"


def user_cache_dir() -> Path:
    """Return the per-user cache folder of equirgz on this platform; it need not exist yet."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "equirgz"


def data_root(data_dir: Path | str | None = None) -> Path:
    """Return the folder that holds the archives: ``data_dir``, the environment's, or the user's."""
    chosen = data_dir or os.environ.get(ENVIRONMENT_VARIABLE)
    return as_path(chosen) if chosen else user_cache_dir() / "data"


def find_file(filename: str, data_dir: Path | str | None = None) -> Path:
    """Return the path of ``filename`` under the data root; raise DataError that says how to get it."""
    root = data_root(data_dir)
    path = root / filename
    if not path.is_file():
        raise DataError(
            f"{filename}: expected in the data root {root}, not found there; put the archive into it, "
            f"give --data-dir, set {ENVIRONMENT_VARIABLE}, or run `equirgz data fetch`"
        )
    return path


def compute_md5(path: Path) -> str:
    """Return the md5 of a file as hex digits (an identity of published archives, not security)."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; check its permissions") from error


def check_sha256(path: Path, sha256: str) -> None:
    """Raise DataError unless the file's SHA-256 is ``sha256``."""
    try:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}; check its permissions") from error
    if found != sha256:
        mend = "the file is damaged or another version; delete it and fetch it again"
        raise DataError(f"{path}: sha256", expected=sha256, got=found, mend=mend)


def check_md5(path: Path, md5: str) -> None:
    """Raise DataError unless the file's md5 is ``md5``."""
    found = compute_md5(path)
    if found != md5:
        raise DataError(
            f"{path}: md5",
            expected=md5,
            got=found,
            mend="the file is damaged or another version; delete it and fetch it again",
        )


def find_own(path: str, data_dir: Path | None) -> Path:
    """Return a path of the user's: as it stands where it is there, else inside the data root."""
    own = as_path(path)
    return own if own.exists() else data_root(data_dir) / path
