"""Limits of one run in a worker process: time, by a watchdog that no hanging code can stop, and memory."""

from __future__ import annotations

import faulthandler
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")


@contextmanager
def time_limit(seconds: float | None, trace: Path) -> Iterator[None]:
    """End this process after ``seconds``, leaving the stack of every thread in ``trace``.

    The watchdog is a thread of the interpreter's C code, so code that hangs while it holds the
    interpreter's lock is ended too. None sets no limit.
    """
    if seconds is None:
        yield
        return
    trace.parent.mkdir(parents=True, exist_ok=True)
    with trace.open("w") as file:
        faulthandler.dump_traceback_later(seconds, exit=True, file=file)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            trace.unlink(missing_ok=True)


@contextmanager
def memory_limit(limit_bytes: float | None) -> Iterator[None]:
    """Let allocations beyond ``limit_bytes`` of private memory fail with MemoryError, instead of the whole machine.

    None sets no limit. The limit counts what the process already holds.
    """
    if limit_bytes is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    new = int(limit_bytes) if hard == resource.RLIM_INFINITY else min(int(limit_bytes), hard)
    resource.setrlimit(resource.RLIMIT_DATA, (new, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether ``error`` says that memory (of the machine, or of a GPU) ran out."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in OUT_OF_MEMORY)


def share_of_memory(workers: int) -> float:
    """Return 0.9 of this machine's memory (or of this process's control group's), over ``workers``, in bytes."""
    total = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, float(Path(file).read_text()))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return 0.9 * total / workers
