r"""Maximum over a sliding window with stride 1: first along rows, then along columns.

The same numbers and gradients as ``F.max_pool2d(x, window, stride=1)``, whose kernel looks for an
index at every pixel; here whole rows are compared at once, some images at a time so that the working
set stays in the cache, and the gradient compares again instead of keeping indices. Ties go to the
first pixel in reading order, as there. NaN spreads to every window that holds it.
Legend: M maps (batch times channels).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from equirgz.nn.cpu.shares import run_shares

_CHUNK_BYTES = 2**19  # of the maps worked on together; a quarter to one MB measured alike


def sliding_max2d(x_BCHW: Tensor, window: int, padding: int = 0) -> Tensor:
    """Return the maximum over ``window`` x ``window`` pixels; ``padding`` counts as minus infinity.

    Shape: (B, C, H, W) -> (B, C, H + 2 padding - window + 1, W + 2 padding - window + 1). Where only
    ordinary operators will do (tracing, export, compilation, function transforms), on other devices
    than CPUs and in half precision this is ``F.max_pool2d`` itself. Differentiable once.
    """
    if window == 1 or needs_ordinary(x_BCHW) or min(x_BCHW.shape[-2:]) + 2 * padding < window:
        return F.max_pool2d(x_BCHW, window, 1, padding)
    return _SlidingMax.apply(x_BCHW, window, padding)


def needs_ordinary(x: Tensor) -> bool:
    """Return whether only ordinary operators will do: exports and transforms, other devices, half precision."""
    return (
        torch.jit.is_tracing()
        or torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or x.device.type != "cpu"
        or x.dtype not in (torch.float32, torch.float64)
        or x.numel() == 0
    )


def _chunk(x_MHW: Tensor) -> int:
    return max(1, _CHUNK_BYTES // (x_MHW[0].numel() * x_MHW.element_size()))


def _chunks(x_MHW: Tensor, *others: Tensor) -> list[tuple[Tensor, ...]]:
    size = _chunk(x_MHW)
    return list(zip(*(tensor.split(size) for tensor in (x_MHW, *others)), strict=True))


def _flat(x_MHW: Tensor, padding: int) -> Tensor:
    return (F.pad(x_MHW, (padding,) * 4, value=-torch.inf) if padding else x_MHW).reshape(-1)


def _running_max(flat: Tensor, window: int, step: int, out: Tensor | None = None) -> Tensor:
    """Return the maximum of ``window`` numbers ``step`` apart, for every start.

    Rows follow each other, so that a window that starts in the last columns runs into the next row;
    nobody reads its maximum.
    """
    length = len(flat) - (window - 1) * step
    out = torch.maximum(flat[:length], flat[step : step + length], out=out)
    for shift in range(2 * step, window * step, step):
        torch.maximum(out, flat[shift : shift + length], out=out)
    return out


def _spread_back(flat: Tensor, grad: Tensor, window: int, step: int, out: Tensor) -> None:
    """Write the gradient of :func:`_running_max`: that of each maximum goes to its first number."""
    length = len(flat) - (window - 1) * step
    rest, won = grad[:length], []
    for shift in range(window - 1, 0, -1):
        before = _running_max(flat[: length + (shift - 1) * step], shift, step) if shift > 1 else flat[:length]
        wins = torch.empty_like(rest)
        torch.gt(flat[shift * step : shift * step + length], before, out=wins).mul_(rest)  # 1.0 where it wins
        won.append((shift * step, wins))
        rest = torch.sub(rest, wins, out=out[:length] if shift == 1 else None)
    out[length:].zero_()
    for start, wins in won:
        out[start : start + length].add_(wins)


class _SlidingMax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, window: int, padding: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.window, ctx.padding = window, padding
        x_MHW = x.flatten(0, 1)
        height, width = (size + 2 * padding for size in x.shape[-2:])
        y = x.new_empty(len(x_MHW), height - window + 1, width - window + 1)

        def pool(chunks: Sequence[tuple[Tensor, Tensor]]) -> None:
            rows = x.new_empty(_chunk(x_MHW) * height * width)
            for some, target in chunks:
                flat = _flat(some, padding)
                _running_max(flat, window, 1, rows[: len(flat) - window + 1])
                rows_MHW = rows[: len(flat)].view(-1, height, width)[..., : target.shape[2]]
                length = target.shape[1]
                torch.maximum(rows_MHW[:, :length], rows_MHW[:, 1 : 1 + length], out=target)
                for shift in range(2, window):
                    torch.maximum(target, rows_MHW[:, shift : shift + length], out=target)

        run_shares(_chunks(x_MHW, y), pool)
        return y.unflatten(0, x.shape[:2])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (x,), window, padding = ctx.saved_tensors, ctx.window, ctx.padding
        x_MHW, grad_MHW = x.flatten(0, 1), grad.flatten(0, 1)
        height, width = (size + 2 * padding for size in x.shape[-2:])
        inside = slice(padding, padding + x.shape[-2]), slice(padding, padding + x.shape[-1])
        grad_x = x.new_empty(x_MHW.shape)

        def give_back(chunks: Sequence[tuple[Tensor, Tensor, Tensor]]) -> None:
            size = _chunk(x_MHW)
            wide, rows, back_rows = (x.new_zeros(size, height, width) for _ in range(3))
            back = x.new_empty(size, height, width) if padding else None
            for some, some_grad, target in chunks:
                count, flat = len(some), _flat(some, padding)
                # The last rows and columns, where no window starts, stay zero in ``wide``: nothing comes back
                # from them.
                wide[:count, : grad_MHW.shape[1], : grad_MHW.shape[2]].copy_(some_grad)
                rows_flat, back_flat = rows[:count].view(-1), back_rows[:count].view(-1)
                _running_max(flat, window, 1, rows_flat[: len(flat) - window + 1])
                _spread_back(rows_flat, wide[:count].view(-1), window, width, back_flat)
                if back is None:
                    _spread_back(flat, back_flat, window, 1, target.view(-1))
                else:
                    _spread_back(flat, back_flat, window, 1, back[:count].view(-1))
                    target.copy_(back[:count, inside[0], inside[1]])

        run_shares(_chunks(x_MHW, grad_MHW, grad_x), give_back)
        return grad_x.view(x.shape), None, None
