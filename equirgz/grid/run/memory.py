"""The peak memory of one run, also where one worker process computes many."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path


def reset_peak(device: str = "cpu") -> None:
    """Start a new peak (Linux; elsewhere the peak of the whole process is measured)."""
    if device.startswith("cuda"):
        sys.modules["torch"].cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def measure_peak_bytes(device: str = "cpu") -> float:
    """Return the largest resident memory (on a GPU: allocated memory) since :func:`reset_peak`, in bytes."""
    if device.startswith("cuda"):
        return float(sys.modules["torch"].cuda.max_memory_allocated(device))
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
    return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
