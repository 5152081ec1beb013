r"""Group convolution from regular to regular fields by its Fourier components over the rotations.

The same function as ``F.conv2d`` with the expanded filters, to rounding, at a cost linear in |G|
(:mod:`equirgz.nn.cpu.fourier_plan` has the law). Four steps, on some rows of some images at a time so that
the working set stays in the caches (:mod:`equirgz.nn.cpu.slabs`); the backward pass computes the basis maps anew:

    transform over G  ->  K filters over every map (one matrix product of shifted copies), sums of two
                      ->  mixing of fields, one matrix product per slot  ->  inverse transform.

Legend: B batch, I O fields, U elements, K real basis functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from equirgz.geometry.group import Group
from equirgz.nn.cpu.compiled import SumTable
from equirgz.nn.cpu.fourier_plan import make_plan
from equirgz.nn.cpu.shares import run_shares
from equirgz.nn.cpu.slabs import Constants, Mixing, Slabs, Window
from equirgz.nn.filters.basis import FilterBasis


@cache
def _constants(group: Group, basis: FilterBasis, dtype: torch.dtype, device: torch.device) -> Constants:
    plan = make_plan(group, basis)
    flips = plan.weights.shape[2]
    inverse_AGC = plan.inverse_GG[None]
    if flips == 2:
        inverse_GSAF = plan.inverse_GG.reshape(group.order, -1, 2, flips)
        inverse_AGC = inverse_GSAF.transpose(2, 0, 1, 3).reshape(2, group.order, -1)
    with torch.device("cpu"), torch.inference_mode(False):
        tensors = [
            torch.from_numpy(array.copy()).to(dtype).to(device)
            for array in (plan.transform_GG, inverse_AGC, plan.filters_KP, plan.weights, plan.edge_weights)
        ]
    sums = SumTable(plan.combinations, len(plan.weights) + 1, flips, plan.weights.shape[3], plan.edge_weights.shape[2])
    return Constants(*tensors, plan.combinations, sums)


def mixing_matrices(weight_OIUK: Tensor, constants: Constants) -> Mixing:
    """Return the matrices that mix the fields; differentiable."""
    weight_LOI = weight_OIUK.flatten(2).permute(2, 0, 1)
    slots = torch.tensordot(constants.weights, weight_LOI, 1)  # S - 1, A, F, M, F', A', O, I
    edges = torch.tensordot(constants.edge_weights, weight_LOI, 1)  # E, A, L, F', O, I
    slots = slots.permute(0, 1, 2, 6, 3, 4, 7, 5).flatten(4).flatten(1, 3)
    if constants.flips == 2:
        return Mixing(slots, edges.permute(0, 1, 4, 2, 3, 5).flatten(3).flatten(0, 1))
    return Mixing(slots, edges.permute(0, 4, 1, 2, 3, 5).flatten(2))


def fourier_conv2d(
    x_BCHW: Tensor,
    weight_OIUK: Tensor,
    group: Group,
    basis: FilterBasis,
    stride: int = 1,
    padding: int = 0,
) -> Tensor:
    """Return the convolution of regular fields with weights ``weight_OIUK``, without bias.

    Shapes: (B, I * |G|, H, W) -> (B, O * |G|, H', W'). Float32 and float64. NaN spreads to every
    output that sees it. Differentiable once; see :class:`equirgz.nn.GroupConv2d` for more.
    """
    constants = _constants(group, basis, x_BCHW.dtype, x_BCHW.device)
    mixing = mixing_matrices(weight_OIUK, constants)
    window = Window(basis.kernel_size, stride, padding)
    return _FourierConv.apply(x_BCHW, constants, window, *mixing)


class _FourierConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, constants: Constants, window: Window, *matrices: Tensor) -> Tensor:
        ctx.save_for_backward(x, *matrices)
        ctx.constants, ctx.window = constants, window
        sizes = Slabs(x, Mixing(*matrices), constants, window)
        y = x.new_empty(sizes.batch, sizes.out_fields, sizes.order, *sizes.size)

        def convolve(chunks: Sequence[slice]) -> None:
            call = Slabs(x, Mixing(*matrices), constants, window)
            for images in chunks:
                call.convolve(x, y, images)

        run_shares(list(sizes.chunks()), convolve)
        return y.flatten(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, *matrices = ctx.saved_tensors
        sizes = Slabs(x, Mixing(*matrices), ctx.constants, ctx.window)
        grad = grad.reshape(sizes.batch, sizes.out_fields, sizes.order, *sizes.size)
        grad_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        learns = any(ctx.needs_input_grad[3:])

        def differentiate(chunks: Sequence[slice]) -> Mixing | None:
            call = Slabs(x, Mixing(*matrices), ctx.constants, ctx.window)
            totals = Mixing(*(torch.zeros_like(matrix) for matrix in matrices)) if learns else None
            for images in chunks:
                call.differentiate(x, grad, grad_x, images, totals)
            return totals

        first, *others = run_shares(list(sizes.chunks()), differentiate)
        for totals in others if learns else ():
            for total, part in zip(first, totals, strict=True):
                total.add_(part)
        return grad_x, None, None, *(first if learns else (None, None))
