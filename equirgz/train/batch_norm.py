"""Batch norm over the whole batch of all processes, on any device.

``torch.nn.SyncBatchNorm`` does this on GPUs only and is another class, with which checkpoints, copies and
exports would have to deal. Here layers keep their class, and are synchronised for as long as a step lasts.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class _Mean(torch.autograd.Function):
    """The mean over processes; what each sends back is averaged likewise."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _mean(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _mean(gradient)


def _mean(x: Tensor) -> Tensor:
    total = x.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total / dist.get_world_size()


@contextmanager
def synchronised(module: nn.Module, world_size: int) -> Iterator[None]:
    """Let the batch-norm layers of ``module`` that are in train mode see the batches of all processes.

    y = gamma (x - mean) / sqrt(var + eps) + beta with mean and (biased) variance over the batches of all
    processes together; running statistics move by ``momentum`` towards that mean and the unbiased variance.
    The processes must bring batches of one size, and call the same layers in the same order. Gradients,
    averaged over processes as DDP does, are those of one process with the whole batch. With one process
    nothing is changed.
    """
    layers = [m for m in module.modules() if isinstance(m, _BatchNorm)] if world_size > 1 else []
    for layer in layers:
        layer.forward = functools.partial(_forward, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _forward(layer: _BatchNorm, x: Tensor) -> Tensor:
    if not layer.training:
        return type(layer).forward(layer, x)
    axes = [0, *range(2, x.ndim)]
    shape = (1, -1, *(1 for _ in axes[1:]))
    wide = x.to(layer.weight.dtype if layer.affine else torch.promote_types(x.dtype, torch.float32))
    own_var, own_mean = torch.var_mean(wide, axes, correction=0)
    mean = _Mean.apply(own_mean)
    var = _Mean.apply(own_var + (own_mean - mean) ** 2)
    y = (wide - mean.view(shape)) * torch.rsqrt(var + layer.eps).view(shape)
    if layer.affine:
        y = y * layer.weight.view(shape) + layer.bias.view(shape)
    if layer.track_running_stats:
        _track(layer, mean.detach(), var.detach(), x.numel() // x.shape[1] * dist.get_world_size())
    return y.to(x.dtype)


@torch.no_grad()
def _track(layer: _BatchNorm, mean: Tensor, var: Tensor, count: int) -> None:
    layer.num_batches_tracked.add_(1)
    momentum = layer.momentum if layer.momentum is not None else 1 / float(layer.num_batches_tracked)
    layer.running_mean.lerp_(mean.to(layer.running_mean), momentum)
    layer.running_var.lerp_((var * count / (count - 1)).to(layer.running_var), momentum)
