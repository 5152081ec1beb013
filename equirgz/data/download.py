"""Published archives downloaded into the data root: md5 checked, nothing half-written left behind."""

from __future__ import annotations

import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from equirgz.data.facts import SetInfo, get_set
from equirgz.data.root import check_md5, check_sha256, data_root
from equirgz.errors import DataError, EquirgzError
from equirgz.paths import as_path

_BLOCK = 1 << 20


def fetch_set(
    name: str,
    data_dir: Path | str | None = None,
    *,
    url: str | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    timeout_s: float = 60.0,
) -> Path:
    """Download the archive of a published set into the data root; return its path.

    An archive that is there already and has the right md5 is kept. ``url`` replaces the published
    address. ``progress`` is called with (bytes so far, all bytes or None). Raises DataError when the
    set has no address or is not one file, the download fails or breaks off, or the md5 is wrong; the
    folder is then as it was.
    """
    info = _get_file_set(name)
    path = data_root(data_dir) / info.filename
    if path.is_file():
        verify(info, path)
        return path
    address = url or info.url
    if address is None:
        raise DataError(f"{name}: has no public address; ask its authors and put {info.filename} into {path.parent}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{info.filename}.")
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"cannot write into {path.parent}: {reason}; choose another data root") from error
    try:
        with os.fdopen(handle, "wb") as target:
            _download(address, target, progress, timeout_s)
        verify(info, Path(temporary))
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except (OSError, EquirgzError) as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, EquirgzError):
            raise
        raise DataError(f"cannot write {path}: {error.strerror or error}; free space or choose another root") from error
    return path


def _get_file_set(name: str) -> SetInfo:
    """Return the entry of a set that is one file; DataError for others."""
    info = get_set(name)
    if not info.filename:
        raise DataError(f"{name}: expected a set of one file, got one of another form; see {info.url}. {info.notes}")
    return info


def _download(
    address: str, target: BinaryIO, progress: Callable[[int, int | None], None] | None, timeout_s: float
) -> None:
    try:
        with urllib.request.urlopen(address, timeout=timeout_s) as response:
            length = response.headers.get("Content-Length")
            total = int(length) if length else None
            done = 0
            while block := response.read(_BLOCK):
                target.write(block)
                done += len(block)
                if progress is not None:
                    progress(done, total)
    except (urllib.error.URLError, TimeoutError, ConnectionError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise DataError(f"cannot fetch {address}: {reason}; check the network, or download it by hand") from error
    if total is not None and done != total:
        raise DataError(f"{address}: expected {total} bytes, got {done}; the connection broke off, fetch it again")


def verify(info: SetInfo, path: Path) -> None:
    """Raise DataError unless the file has the published md5 or SHA-256 (where one was published)."""
    if info.md5 is not None:
        check_md5(path, info.md5)
    if info.sha256 is not None:
        check_sha256(path, info.sha256)


def copy_set(name: str, source: Path | str, data_dir: Path | str | None = None) -> Path:
    """Put an archive that was downloaded by hand into the data root under its published name, verified."""
    info = _get_file_set(name)
    verify(info, as_path(source))
    path = data_root(data_dir) / info.filename
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    shutil.copyfile(source, temporary)
    os.replace(temporary, path)
    return path
