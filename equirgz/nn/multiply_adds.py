"""What a layer multiplies: a layer of ours says so itself, of torch's own this file knows it."""

from __future__ import annotations

from functools import singledispatch

from torch import Tensor, nn


@singledispatch
def count_multiply_adds(layer: nn.Module, x: Tensor, y: Tensor) -> int:
    """Return the multiply-adds with which ``layer`` made ``y`` of ``x``, one image, in its expanded form.

    Layers with a method ``multiply_adds(height, width)`` are asked; else 0. A layer of another library is
    made known by ``count_multiply_adds.register``. Counted are convolutions, linear layers and products of
    attention, not blurs, norms, maxima and sums.
    """
    own = getattr(layer, "multiply_adds", None)
    return 0 if own is None else own(*x.shape[-2:])


@count_multiply_adds.register
def _(layer: nn.Conv2d, x: Tensor, y: Tensor) -> int:
    rows, columns = layer.kernel_size
    return y.numel() * layer.in_channels // layer.groups * rows * columns


@count_multiply_adds.register
def _(layer: nn.Linear, x: Tensor, y: Tensor) -> int:
    return y.numel() * layer.in_features
