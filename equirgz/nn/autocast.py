"""What stays in float32 where a network computes in half precision: blurs, norms and means.

Their sums run over many numbers, and bfloat16 has three digits; its depthwise convolutions are also slow on
CPUs, backwards above all.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

Layer = TypeVar("Layer")
Forward = Callable[..., Tensor]


def float32_in_autocast(forward: Forward) -> Forward:
    """Decorate a method ``(self, x) -> y``: within autocast it gets ``x`` as float32 (float64 as it is) and runs
    outside of autocast, so that y is float32 too. Elsewhere nothing changes: a network in half precision as a
    whole stays so.
    """

    @functools.wraps(forward)
    def computed(self: Layer, x: Tensor, **options: bool) -> Tensor:
        device = x.device.type
        if x.is_meta or not torch.is_autocast_enabled(device):  # the meta device knows no autocast, and raises
            return forward(self, x, **options)
        with torch.autocast(device, enabled=False):
            return forward(self, x.float() if x.dtype in (torch.float16, torch.bfloat16) else x, **options)

    return computed
