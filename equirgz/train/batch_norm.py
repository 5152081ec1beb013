"""Batch norm over the whole batch of all processes, on any device.

``torch.nn.SyncBatchNorm`` does this on GPUs only and is another class, with which checkpoints, copies and
exports would have to deal. Here layers keep their class, and are synchronised for as long as a step lasts. Once a
network is trained, its statistics can be settled on the images that it is read on.
Legend: N sources, C channels, H W pixels.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from equirgz.errors import require
from equirgz.evaluate.predict import iterate_batches


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


@contextmanager
def batch_statistics(module: nn.Module) -> Iterator[list[_BatchNorm]]:
    """Let batch norm normalise by the batch, and all else answer as in evaluation; modes and momenta come back.

    Running statistics move, with equal weight for every batch; without gradients.
    """
    modes = [(part, part.training) for part in module.modules()]
    layers = [part for part in module.modules() if isinstance(part, _BatchNorm) and part.track_running_stats]
    momenta = [layer.momentum for layer in layers]
    module.eval()
    for layer in layers:
        layer.train()
        layer.momentum = None  # the mean over batches
    try:
        with torch.no_grad():
            yield layers
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for part, training in modes:
            part.training = training


def settle_batch_norm(backbone: nn.Module, x_NCHW: Tensor | np.ndarray, batch_size: int = 256) -> int:
    """Set the running statistics of batch norm to those of plain images, in place; return how many layers there are.

    A network trained on augmented views, or on several surveys, carries the mean and variance of those, and in
    evaluation normalises other images by them. Here they become the means of the statistics of batches of (nearly)
    equal size; no weight changes and nothing is drawn. Labels play no part, but use no test sources. A
    network without batch norm is left alone.

    Raises InputError for fewer than two images.
    """
    n = len(x_NCHW)
    require(n >= 2, "settle_batch_norm", expected="at least 2 images", got=n)
    with batch_statistics(backbone) as layers:
        for layer in layers:
            layer.reset_running_stats()
        if layers:
            parts = -(-n // max(2, batch_size))
            for x_BCHW in iterate_batches(backbone, x_NCHW, max(2, -(-n // parts))):
                if len(x_BCHW) > 1:
                    backbone(x_BCHW)
    return len(layers)
