"""What loading has to say: lines for the logger ``equirgz``, lists of what was left out, and how far it is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from equirgz.data.cache import cache_dir
from equirgz.errors import ResultsError
from equirgz.paths import as_path
from equirgz.records import content_hash, write_bytes_atomic

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger("equirgz")
Progress = Callable[[int, int], None]
_WATCHER: ContextVar[Progress | None] = ContextVar("watcher", default=None)


@contextmanager
def watch_loading(progress: Progress) -> Iterator[None]:
    """Have ``progress`` called with (files done, all files) by whatever reads a folder inside the block."""
    token = _WATCHER.set(progress)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def loading_watcher() -> Progress | None:
    """Return what :func:`watch_loading` was given, None outside of it."""
    return _WATCHER.get()


@contextmanager
def collect_notes() -> Iterator[list[str]]:
    """Keep the lines of :func:`note` inside the block from the logger, and yield the list in which they end."""
    lines: list[str] = []

    def take(record: logging.LogRecord) -> bool:
        lines.append(record.getMessage())
        return False

    note.cache_clear()
    logger.addFilter(take)
    try:
        yield lines
    finally:
        logger.removeFilter(take)
        note.cache_clear()


@lru_cache(maxsize=4096)
def note(line: str) -> None:
    """Send a line to the logger ``equirgz``, once in a process: every run of a grid loads its data anew."""
    logger.warning(line)


def list_bad(
    bad: dict[str, str],
    source: Path | str,
    path: Path | str | None = None,
    *,
    what: str = "files",
    did: str = "left out",
) -> None:
    """Write what could not be used of ``source``, a line each: its name, a tab, the reason.

    Without ``path`` the list goes to the cache, and one note says how many there are and where. A cache
    that cannot be written costs the list, never the data. Raises ResultsError for a ``path`` that cannot.
    """
    text = "".join(f"{name}\t{reason}\n" for name, reason in sorted(bad.items())).encode()
    if path is not None:
        write_bytes_atomic(as_path(path), text)
        return
    listed = cache_dir() / f"bad_{what.replace(' ', '_')}_{content_hash(str(as_path(source).resolve()))}.txt"
    try:
        write_bytes_atomic(listed, text)
        where = f"listed in {listed}"
    except ResultsError as error:
        where = f"not listed: {error}"
    name, reason = min(bad.items())
    note(f"{source}: {did} {len(bad)} {what}, e.g. {name}: {reason}; {where}")


def list_missing(missing: dict[int, str], ids: np.ndarray, source: Path | str, path: Path | str | None = None) -> None:
    """List the rows of a catalogue that gave no image, by id; where an id stands twice, with its row."""
    bad = {}
    for row, reason in missing.items():
        twice = int((ids == ids[row]).sum()) > 1
        bad[f"{ids[row]} (row {row})" if twice else str(ids[row])] = reason
    if bad:
        list_bad(bad, as_path(source), path, what="sources")
