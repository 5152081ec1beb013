"""What a grid will cost: arithmetic of its trainings over the speed of this machine.

The estimate is steps x batch x views x 3 x multiply-adds of the network (a backward pass costs
about two forward ones), divided by what one thread of this machine achieves on a convolution timed
for a fraction of a second. Loading and evaluation are not in it; expect the truth within a factor
of about two.
"""

from __future__ import annotations

import time

from equirgz.grid.plan.grid import Grid
from equirgz.grid.plan.preflight import Checked


def measure_rate(seconds: float = 0.3) -> float:
    """Return the multiply-adds per second of one CPU thread, training a 16-channel 5 x 5 convolution."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        layer = torch.nn.Conv2d(16, 16, 5, padding=2)
        x_BCHW = torch.randn(16, 16, 33, 33, requires_grad=True)
        layer(x_BCHW).sum().backward()
        done, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            layer(x_BCHW).sum().backward()
            done += 1
        elapsed = time.perf_counter() - start
    finally:
        torch.set_num_threads(threads)
    return 3.0 * done * 16 * 16 * 16 * 25 * 33 * 33 / elapsed


def estimate_seconds(grid: Grid, checked: Checked, jobs: int, rate: float | None = None) -> tuple[float, float]:
    """Return (CPU seconds of all runs, wall-clock seconds on ``jobs`` processes)."""
    rate = measure_rate() if rate is None else rate
    seconds = [checked.multiply_adds[point.run_key] / rate for point in grid.points]
    return sum(seconds), max(sum(seconds) / jobs, max(seconds))


def format_duration(seconds: float) -> str:
    """Return e.g. ``45 s``, ``12 min`` or ``3.4 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
