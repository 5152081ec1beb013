"""Which sources a batch holds, from seeded generators: passes over a set, several sets in shares, or ever new ones.

Legend: B batch, N sources, P parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from equirgz.errors import InputError
from equirgz.seeding import derive_seed
from equirgz.train.images import TrainImages


class IndexStream:
    """An endless stream of passes over ``n`` sources, each pass in a new random order.

    Batches all have the same size: one that reaches the end of a pass is filled from the next one,
    so that after any number of batches no source was drawn more than once more often than another.
    With weights w a pass still has n draws, and holds source i ``n w_i / sum w`` times, rounded up or down at
    random without bias (systematic sampling).
    """

    def __init__(self, n: int, batch_size: int, seed: int, weight_N: Tensor | None = None) -> None:
        self.n, self.batch_size = n, batch_size
        self.cumulated_N = None if weight_N is None else (weight_N / weight_N.sum()).cpu().cumsum(0)
        self.generator = torch.Generator().manual_seed(seed)
        self.left = torch.empty(0, dtype=torch.int64)

    def next(self) -> Tensor:
        """Return the next index_B."""
        while len(self.left) < self.batch_size:
            self.left = torch.cat([self.left, self._draw_pass()])
        index_B, self.left = self.left[: self.batch_size], self.left[self.batch_size :]
        return index_B

    def _draw_pass(self) -> Tensor:
        order_N = torch.randperm(self.n, generator=self.generator)
        if self.cumulated_N is None:
            return order_N
        start = torch.rand(1, dtype=torch.float64, generator=self.generator)
        drawn_N = torch.searchsorted(self.cumulated_N, (torch.arange(self.n) + start) / self.n, right=True)
        return drawn_N.clamp_max(self.n - 1)[order_N]

    def state_dict(self) -> dict[str, Tensor]:
        """Return the position in the current pass and the state of the generator."""
        return {"left": self.left.clone(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue where :meth:`state_dict` was taken."""
        self.left = state["left"].clone()
        self.generator.set_state(state["generator"].cpu())


class CountingStream:
    """A stream in which no source comes twice: the numbers from ``n`` on, behind those of a set of ``n`` sources."""

    def __init__(self, n: int, batch_size: int) -> None:
        self.n, self.batch_size, self.place = n, batch_size, n

    def next(self) -> Tensor:
        """Return the next index_B, all of them ``n`` or more."""
        index_B = torch.arange(self.place, self.place + self.batch_size)
        self.place += self.batch_size
        return index_B

    def state_dict(self) -> dict[str, int]:
        """Return the number of the next source."""
        return {"place": self.place}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue where :meth:`state_dict` was taken."""
        self.place = int(state["place"])


class MixedStream:
    """A stream that fills every batch from consecutive parts of a set, each in its share.

    Part k of share s_k gives ``batch_size s_k / sum s`` sources, rounded so that the sum is ``batch_size`` (largest
    remainders first), and at least one; each part is an :class:`IndexStream` of its own, the last one with ``fresh`` a
    :class:`CountingStream`.
    """

    def __init__(self, parts: Sequence[tuple[int, float]], batch_size: int, seed: int, *, fresh: bool = False) -> None:
        self.n, self.batch_size = sum(n for n, _ in parts), batch_size
        wanted_P = torch.tensor([share for _, share in parts], dtype=torch.float64)
        sizes = _round_shares(batch_size * wanted_P / wanted_P.sum(), batch_size)
        starts = [sum(n for n, _ in parts[:k]) for k in range(len(parts))]
        streams: list[IndexStream | CountingStream] = [
            IndexStream(n, size, derive_seed(seed, f"part {k}"))
            for k, ((n, _), size) in enumerate(zip(parts, sizes, strict=True))
        ]
        if fresh:
            streams[-1] = CountingStream(parts[-1][0], sizes[-1])
        self.parts = list(zip(starts, streams, strict=True))

    def next(self) -> Tensor:
        """Return the next index_B, part after part."""
        return torch.cat([start + stream.next() for start, stream in self.parts])

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all parts."""
        return {str(k): stream.state_dict() for k, (_, stream) in enumerate(self.parts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where :meth:`state_dict` was taken."""
        for k, (_, stream) in enumerate(self.parts):
            stream.load_state_dict(state[str(k)])


def _round_shares(wanted_P: Tensor, total: int) -> list[int]:
    """Return whole numbers near ``wanted_P``, each at least 1, that add up to ``total``."""
    if len(wanted_P) > total:
        mend = "raise batch_size or name fewer sets"
        raise InputError("batch_size", expected=f"at least {len(wanted_P)}, one of each set", got=total, mend=mend)
    size_P = wanted_P.floor().clamp_min(1).long()
    while (left := total - int(size_P.sum())) != 0:
        short_P = wanted_P - size_P
        place = int(short_P.argmax()) if left > 0 else int(short_P.masked_fill(size_P <= 1, float("inf")).argmin())
        size_P[place] += 1 if left > 0 else -1
    return size_P.tolist()


def make_stream(images: TrainImages, pool: str, size: int, seed: int) -> IndexStream | MixedStream | CountingStream:
    """Return the stream of batches of ``size`` sources of a pool."""
    parts, fresh = images.parts(pool), pool in images.fresh
    if parts:
        return MixedStream(parts, size, seed, fresh=fresh)
    n = len(images.pool(pool))
    return CountingStream(n, size) if fresh else IndexStream(n, size, seed, images.weight_of(pool))
