"""Sources that a training sees once each: drawn by their number, the next ones while a step is computed.

Legend: N sources, C channels, H W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Drawn(NamedTuple):
    """Images, their canvases where there are any, and targets where they are asked for."""

    x_NCHW: Any
    canvas_NCHW: Any = None
    y_N: Any = None


class FreshSources:
    """An endless row of sources: ``draw(start, n)`` makes those with the numbers ``start`` to ``start + n - 1``.

    What it makes must depend on the numbers alone; then a training is the same whenever it is interrupted. ``identity``
    says which row it is. A thread draws the next batch ahead: numpy and torch give way to one another while they
    compute, so that a second core, where there is one, hides the drawing. ``draw`` must therefore use numpy: what torch
    makes depends on its default type, which is another one while a step in double precision is computed.
    """

    def __init__(self, draw: Callable[[int, int], Drawn], identity: str) -> None:
        self.draw, self.identity = draw, identity
        self._ahead: tuple[int, int, Future[Drawn]] | None = None
        self._thread: ThreadPoolExecutor | None = None

    def take(self, index_B: Tensor) -> Drawn:
        """Return the sources with consecutive numbers ``index_B``, as tensors, and begin with those after them."""
        start, n = int(index_B[0]), len(index_B)
        ahead = self._ahead
        drawn = ahead[2].result() if ahead is not None and ahead[:2] == (start, n) else self.draw(start, n)
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="fresh-sources")
        self._ahead = (start + n, n, self._thread.submit(self.draw, start + n, n))
        return Drawn(*(None if part is None else torch.as_tensor(part) for part in drawn))

    def close(self) -> None:
        """End the thread, once what it draws is done."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
        self._thread = self._ahead = None
