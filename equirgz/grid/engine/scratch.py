"""Where an engine keeps its own files: a temporary folder whose path every shell and scheduler reads as it stands.

Parsl writes its paths unquoted into shell commands, so its folder must have no character that a shell knows.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from equirgz.errors import InputError

PREFIX = "equirgz-engine-"
PLACES = ("/tmp", "/var/tmp", "/dev/shm")
STALE_S = 3600.0  # a folder of a killed harness is removed by the next one once it is so old


def is_plain(path: Path | str) -> bool:
    """Return whether a shell takes the whole of ``path`` for one word, and nothing in it for a command or pattern."""
    return re.fullmatch(r"[A-Za-z0-9_./+-]+", str(path)) is not None


class Scratch:
    """A new private folder, held by this process: ``path`` is absolute and plain (see :func:`is_plain`).

    It lies in the system's temporary folder (``TMPDIR``), or where the path of that is not plain in the first
    of :data:`PLACES` that can be written. Raises InputError where there is none.
    """

    def __init__(self) -> None:
        for place in (tempfile.gettempdir(), *PLACES):
            if not is_plain(place):
                continue
            _remove_stale(Path(place))
            with suppress(OSError):
                self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place)).absolute()
                break
        else:
            raise InputError(
                "--engine",
                expected="a writable temporary folder with letters, digits and _./+- alone in its path",
                got=tempfile.gettempdir(),
                mend="set TMPDIR to such a folder, or use --engine inline",
            )
        self._lock = open(self.path / ".lock", "w")  # noqa: SIM115 - held until close
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self, keep_in: Path | None = None) -> None:
        """Remove the folder; with ``keep_in`` its files are copied there first, for whoever looks for a cause."""
        if keep_in is not None:
            with suppress(OSError, shutil.Error):
                shutil.copytree(self.path, keep_in, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".lock"))
        for _ in range(20):  # a worker that is about to end may still write
            shutil.rmtree(self.path, ignore_errors=True)
            if not self.path.exists():
                break
            time.sleep(0.1)
        self._lock.close()


def _remove_stale(place: Path) -> None:
    """Remove the folders that harnesses which no longer live (their lock is free) left in ``place``."""
    for folder in place.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if folder.stat().st_uid != os.getuid() or time.time() - folder.stat().st_mtime < STALE_S:
                continue
            with open(folder / ".lock") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
