r"""ReLU, maximum over a sliding window and strided Gaussian in one pass over the maps, and back.

    y(p) = sum_q g(q) max_w relu(x)(stride p + q + w),        g(q) = line(q_1) line(q_2),

the same numbers and gradients as the three operators in a row, to rounding: ties of the maximum go to the first pixel
in reading order, NaN spreads to every window that holds it. By the optional C library (:mod:`equirgz.kernels`), which
keeps nothing but the input for the way back; without it the operators follow each other.
Legend: M maps (batch times channels).
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from equirgz.kernels import Kernels, load_kernels
from equirgz.nn.cpu.shares import run_shares
from equirgz.nn.cpu.sliding_max import needs_ordinary

_MAPS_AT_ONCE = 16
WINDOWS = (2, 3)


class Pooling(NamedTuple):
    """What is pooled how; ``line`` is the Gaussian along one axis, odd in length, of sum 1."""

    window: int
    padding: int
    stride: int
    rectify: bool
    line: Tensor


class _Call(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int) for name in ("planes", "height", "width", "window", "padding", "half", "stride")),
        ("rectify", ctypes.c_int),
        ("line", ctypes.c_void_p),
    ]


def pool_kernels(x_BCHW: Tensor, window: int, padding: int) -> Kernels | None:
    """Return the library where it pools such maps, else None."""
    able = (
        window in WINDOWS
        and padding < window
        and min(x_BCHW.shape[-2:]) + 2 * padding >= window
        and x_BCHW.dtype == torch.float32
        and not needs_ordinary(x_BCHW)
    )
    return load_kernels() if able else None


def max_blur2d(kernels: Kernels, x_BCHW: Tensor, pooling: Pooling) -> Tensor:
    """Return the pooled maps (B, C, H', W'). Differentiable once."""
    return _MaxBlur.apply(x_BCHW, kernels, pooling)


class _MaxBlur(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernels: Kernels, pooling: Pooling) -> Tensor:
        x = x.contiguous()
        ctx.save_for_backward(x)
        ctx.kernels, ctx.pooling = kernels, pooling
        sides = (size + 2 * pooling.padding - pooling.window for size in x.shape[-2:])
        y = x.new_empty(*x.shape[:2], *(side // pooling.stride + 1 for side in sides))
        _share(kernels, "max_blur", pooling, x, y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        grad_x = torch.empty_like(x)
        _share(ctx.kernels, "max_blur_back", ctx.pooling, x, grad.contiguous(), grad_x)
        return grad_x, None, None


def _share(kernels: Kernels, name: str, pooling: Pooling, *tensors: Tensor) -> None:
    """Call the kernel for all maps, shared among the threads."""
    height, width = tensors[0].shape[-2:]
    line = pooling.line.contiguous()
    maps = [tensor.flatten(0, 1) for tensor in tensors]

    def work(chunks: Sequence[slice]) -> None:
        some = slice(chunks[0].start, chunks[-1].stop)
        call = _Call(
            planes=some.stop - some.start, height=height, width=width, window=pooling.window, padding=pooling.padding,
            half=len(line) // 2, stride=pooling.stride, rectify=int(pooling.rectify), line=line.data_ptr(),
        )  # fmt: skip
        kernels.run(name, call, *(part[some] for part in maps))

    count = len(maps[0])
    run_shares([slice(i, min(i + _MAPS_AT_ONCE, count)) for i in range(0, count, _MAPS_AT_ONCE)], work)
