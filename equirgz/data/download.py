"""Published archives downloaded into the data root by pooch: hash checked, nothing half-written left behind."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from equirgz.data.facts import SetInfo, get_set
from equirgz.data.root import check_md5, check_sha256, data_root, find_file
from equirgz.errors import DataError
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

    An archive that is there already and has the right hash is kept. ``url`` replaces the published
    address. ``progress`` is called with (bytes so far, all bytes or None). Raises DataError when the
    set has no address or is not one file, the download fails or breaks off, or the hash is wrong; the
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
    import pooch
    from requests.exceptions import ConnectionError as NoConnection
    from requests.exceptions import RequestException

    known = f"md5:{info.md5}" if info.md5 else f"sha256:{info.sha256}" if info.sha256 else None
    watcher = False if progress is None else _Watcher(progress)
    downloader = pooch.HTTPDownloader(progressbar=watcher, chunk_size=_BLOCK, timeout=timeout_s)
    try:
        pooch.retrieve(address, known, fname=path.name, path=path.parent, downloader=downloader)
        os.chmod(path, 0o644)
    except (RequestException, ValueError) as error:  # pooch's ValueError tells the hash expected and got
        offline = isinstance(error, NoConnection)
        reason = f"no connection to {urlsplit(address).hostname}" if offline else " ".join(str(error).split())
        mend = f"check the network and fetch it again, or download it by hand into {path.parent}"
        raise DataError(f"cannot fetch {address}: {reason}; {mend}") from error
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"cannot write {path}: {reason}; free space or choose another data root") from error
    return path


class _Watcher:
    """A progress bar as pooch wants one, which tells a function."""

    def __init__(self, progress: Callable[[int, int | None], None]) -> None:
        self.total, self.done, self._progress = 0, 0, progress

    def update(self, n: int) -> None:
        self.done += n
        if n:
            self._progress(min(self.done, self.total) if self.total else self.done, self.total or None)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        pass


def _get_file_set(name: str) -> SetInfo:
    """Return the entry of a set that is one file; DataError for others."""
    info = get_set(name)
    if not info.filename:
        raise DataError(f"{name}: expected a set of one file, got one of another form; see {info.url}. {info.notes}")
    return info


def verify(info: SetInfo, path: Path) -> None:
    """Raise DataError unless the file has the published md5 or SHA-256 (where one was published)."""
    if info.md5 is not None:
        check_md5(path, info.md5)
    if info.sha256 is not None:
        check_sha256(path, info.sha256)


def find_archive(name: str, data_dir: Path | str | None = None) -> Path:
    """Return the path of a published set's archive in the data root, verified; DataError says how to get it."""
    info = _get_file_set(name)
    path = find_file(info.filename, data_dir)
    verify(info, path)
    return path


def copy_set(name: str, source: Path | str, data_dir: Path | str | None = None) -> Path:
    """Put an archive that was downloaded by hand into the data root under its published name, verified.

    One that is there already and has the right hash is kept. Raises DataError for a wrong hash, of either file, and
    where the copy cannot be written; the folder is then as it was.
    """
    info, source = _get_file_set(name), as_path(source)
    verify(info, source)
    path = data_root(data_dir) / info.filename
    if path.is_file():
        verify(info, path)
        return path
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, temporary)
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        reason = error.strerror or error
        raise DataError(f"cannot write {path}: {reason}; free space or choose another data root") from error
    return path
