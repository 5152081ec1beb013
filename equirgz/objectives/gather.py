"""Batches that are spread over processes, seen whole by losses that compare sources with each other."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class _GatherRows(torch.autograd.Function):
    """All processes' rows; the gradient of a row is the sum of what all processes send back to it."""

    @staticmethod
    def forward(ctx: Any, z_BP: Tensor) -> Tensor:
        parts = [torch.empty_like(z_BP) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, z_BP.contiguous())
        ctx.rows = len(z_BP)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient.narrow(0, dist.get_rank() * ctx.rows, ctx.rows)


def mean_over_processes(value: Tensor) -> Tensor:
    """Return the mean of a scalar over processes, without gradient; in a single process ``value`` detached."""
    return gather_rows(value.detach().reshape(1)).mean()


def mean_count(known: Tensor, dtype: torch.dtype) -> Tensor:
    """Return how many of ``known`` are true, the mean over processes, to divide a sum over the known by; 1 for none.

    The mean may lie below 1, where some processes know none; every process must call this, those too.
    """
    count = mean_over_processes(known.sum().to(dtype))
    return torch.where(count > 0, count, torch.ones_like(count))


def gather_rows(z_BP: Tensor) -> Tensor:
    """Return the rows of all processes, in order of rank; in a single process ``z_BP`` itself.

    Every process must bring the same number of rows. A loss of the gathered rows, averaged over
    processes as DDP does, has the gradient of the same loss in one process.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return z_BP
    return _GatherRows.apply(z_BP)
