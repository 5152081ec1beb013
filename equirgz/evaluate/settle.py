"""Batch norm brought to the images that a network is read on, without training. Legend: N sources, C channels, H W."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from equirgz.errors import require
from equirgz.evaluate.predict import iterate_batches


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
