"""What a run costs the machine: seconds of each of its parts, and its peak memory, also in a worker of many runs."""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from pathlib import Path
from typing import Any


class Clock:
    """Seconds between laps, as timings of a run: ``part/seconds`` on the wall, ``part/cpu_seconds`` of this process."""

    def __init__(self) -> None:
        self.timings: list[dict[str, Any]] = []
        self._last = time.perf_counter(), time.process_time()

    def lap(self, part: str) -> None:
        """Record the time since the last lap for ``part`` of the run."""
        now = time.perf_counter(), time.process_time()
        for name, end, start in zip(("seconds", "cpu_seconds"), now, self._last, strict=True):
            self.timings.append({"metric": f"{part}/{name}", "value": end - start, "unit": "s"})
        self._last = now


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
