r"""Group convolution from regular to regular fields by its Fourier components over the rotations.

The same function as ``F.conv2d`` with the expanded filters, to rounding, at a cost linear in |G|
(:mod:`equirgz.nn.cpu.fourier_plan` has the law). Four steps, on some rows of some images at a time so that
the working set stays in the caches; the backward pass computes the basis maps anew:

    transform over r  ->  2 -> J basis maps per slot (matrix product of shifted copies)
                      ->  mixing of fields along bands of slots  ->  inverse transform.

Legend: B batch, I O fields times flips, N rotations, S = N / 2 slots of two real maps, J basis
maps of a slot, Q pixels of a slab (whole padded rows for stride 1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from equirgz.geometry.group import Group
from equirgz.nn.cpu.fourier_plan import Band, make_plan
from equirgz.nn.cpu.shares import run_shares
from equirgz.nn.filters.basis import FilterBasis

# Size of the shifted copies of one slab: 3 to 6 MB measured best, with 2 MB of cache per core.
_SLAB_BYTES = 4 * 2**20


@dataclass(frozen=True)
class _Window:
    kernel: int
    stride: int
    padding: int


@dataclass(frozen=True)
class _Constants:
    """The plan as tensors of one dtype and device."""

    transform_NN: Tensor
    inverse_NN: Tensor
    filters_JP: Tensor
    weights_RU: Tensor  # all bands' weights, one row per number
    bands: tuple[Band, ...]
    uncovered: tuple[tuple[int, int, int], ...]  # slot, first and last basis map that no straight band writes


@cache
def _constants(group: Group, basis: FilterBasis, dtype: torch.dtype, device: torch.device) -> _Constants:
    plan = make_plan(group, basis)

    def tensor(array: object) -> Tensor:
        return torch.as_tensor(array).to(dtype).to(device)

    with torch.device("cpu"), torch.inference_mode(False):
        weights = torch.cat([torch.from_numpy(band.weights.reshape(-1, band.weights.shape[-1])) for band in plan.bands])
        return _Constants(
            tensor(plan.transform_NN),
            tensor(plan.inverse_NN),
            tensor(plan.filters_JP),
            tensor(weights),
            plan.bands,
            plan.uncovered,
        )


def band_matrices(weight_OIUK: Tensor, constants: _Constants) -> list[Tensor]:
    """Return one stack of matrices (count, 2 * O * F, maps * I * F) per band; differentiable."""
    out_fields, in_fields = weight_OIUK.shape[:2]
    products = constants.weights_RU @ weight_OIUK.flatten(2).flatten(0, 1).T
    matrices, start = [], 0
    for band in constants.bands:
        count, _, flips, _, maps, _ = band.weights.shape
        rows = count * 2 * flips * flips * maps
        block = products[start : start + rows].reshape(count, 2, flips, flips, maps, out_fields, in_fields)
        block = block.permute(0, 1, 5, 2, 4, 6, 3)  # count, part, O, F, maps, I, F'
        matrices.append(block.reshape(count, 2 * out_fields * flips, maps * in_fields * flips))
        start += rows
    return matrices


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
    matrices = band_matrices(weight_OIUK, constants)
    window = _Window(basis.kernel_size, stride, padding)
    return _FourierConv.apply(x_BCHW, constants, window, *matrices)


class _Slabs:
    """The sizes of one call, its division into slabs, and buffers that all slabs share."""

    def __init__(self, x: Tensor, matrices: Sequence[Tensor], constants: _Constants, window: _Window) -> None:
        self.constants, self.window = constants, window
        self.n, self.maps = constants.transform_NN.shape[0], constants.filters_JP.shape[0]
        self.slots = self.n // 2
        self.batch, self.fields = x.shape[0], x.shape[1] // self.n
        self.out_fields = matrices[0].shape[1] // 2
        self.padded = tuple(size + 2 * window.padding for size in x.shape[-2:])
        self.size = tuple((size - window.kernel) // window.stride + 1 for size in self.padded)
        # Whole padded rows, with a few columns to throw away, make a shift one contiguous copy.
        self.columns = self.padded[1] if window.stride == 1 else self.size[1]
        pixels = max(1, _SLAB_BYTES // (self.n * self.fields * window.kernel**2 * x.element_size()))
        self.rows = min(self.size[0], max(1, round(pixels / self.columns)))
        self.images = max(1, min(self.batch, pixels // (self.columns * self.size[0])))
        self._buffers: dict[str, Tensor] = {}
        self._like = x

    def chunks(self) -> Iterator[slice]:
        """Yield the images that are worked on together."""
        for start in range(0, self.batch, self.images):
            yield slice(start, min(start + self.images, self.batch))

    def slabs(self) -> Iterator[tuple[int, int]]:
        """Yield first output row and number of rows of each slab."""
        for start in range(0, self.size[0], self.rows):
            yield start, min(self.rows, self.size[0] - start)

    def buffer(self, name: str, *shape: int) -> Tensor:
        """Return memory of this shape, zero at first and later whatever the last user left."""
        numel = math.prod(shape)
        if name not in self._buffers or self._buffers[name].numel() < numel:
            self._buffers[name] = self._like.new_zeros(numel)
        return self._buffers[name][:numel].view(shape)

    def transform(self, x_BCHW: Tensor) -> Tensor:
        """Return the padded slots of some images, flat, with a tail that shifted rows may run into."""
        padded = F.pad(x_BCHW, (self.window.padding,) * 4) if self.window.padding else x_BCHW
        padded = padded.reshape(-1, self.n, math.prod(self.padded))
        flat = self.buffer("flat", padded.numel() + self.window.kernel)
        matrix = self.constants.transform_NN.expand(padded.shape[0], -1, -1)
        torch.bmm(matrix, padded, out=flat[: padded.numel()].view_as(padded))
        return flat

    def transform_back(self, flat: Tensor, images: int) -> Tensor:
        """Return the gradient at the images, from that at the padded slots."""
        planes = flat[: -self.window.kernel].view(images * self.fields, self.n, -1)
        planes = torch.bmm(self.constants.transform_NN.T.expand(len(planes), -1, -1), planes)
        height, width = (slice(self.window.padding, size - self.window.padding) for size in self.padded)
        return planes.view(images, self.fields * self.n, *self.padded)[:, :, height, width]

    def shifted(self, flat: Tensor, images: int, start: int, rows: int) -> Tensor:
        """Return the view (S, 2, k, k, I, images, rows, columns) of all shifts of a slab."""
        (height, width), k, stride = self.padded, self.window.kernel, self.window.stride
        plane = height * width
        field, image = self.n * plane, self.fields * self.n * plane
        return flat.as_strided(
            (self.slots, 2, k, k, self.fields, images, rows, self.columns),
            (2 * plane, plane, width, 1, field, image, stride * width, stride),
            start * stride * width,
        )

    def basis_maps(self, flat: Tensor, images: int, start: int, rows: int) -> Tensor:
        """Return the basis maps z (S, J * I, Q) of a slab."""
        shifted = self.shifted(flat, images, start, rows)
        copies = self.buffer("copies", *shifted.shape).copy_(shifted)
        copies = copies.view(self.slots, 2 * self.window.kernel**2, -1)
        z = self.buffer("z", self.slots, self.maps, copies.shape[-1])
        torch.bmm(self.constants.filters_JP.expand(self.slots, -1, -1), copies, out=z)
        return z.view(self.slots, self.maps * self.fields, -1)

    def spread(self, flat: Tensor, z: Tensor, images: int, start: int, rows: int) -> None:
        """Add the gradients at the basis maps of a slab to those at the padded slots."""
        shifted = self.shifted(flat, images, start, rows)
        copies = self.buffer("copies", *shifted.shape)
        filters = self.constants.filters_JP.T.expand(self.slots, -1, -1)
        z = z.view(self.slots, self.maps, -1)
        torch.bmm(filters, z, out=copies.view(self.slots, 2 * self.window.kernel**2, -1))
        for dy in range(self.window.kernel):
            for dx in range(self.window.kernel):
                shifted[:, :, dy, dx].add_(copies[:, :, dy, dx])

    def mix(self, z: Tensor, matrices: Sequence[Tensor]) -> Tensor:
        """Return the output slots (S, 2 * O, Q) of a slab."""
        mixed = self.buffer("mixed", self.slots, 2 * self.out_fields, z.shape[-1])
        for band, matrix in zip(self.constants.bands, matrices, strict=True):
            target = mixed[band.out : band.out + band.count]
            torch.baddbmm(target, matrix, self._pick(z, band), beta=0 if band.first_writer else 1, out=target)
        return mixed

    def mix_back(self, mixed: Tensor, matrices: Sequence[Tensor]) -> Tensor:
        """Return the gradients at the basis maps of a slab."""
        z = self.buffer("z", self.slots, self.maps * self.fields, mixed.shape[-1])
        for slot, first, last in self.constants.uncovered:
            z[slot, first * self.fields : last * self.fields].zero_()
        for band, matrix in sorted(
            zip(self.constants.bands, matrices, strict=True), key=lambda pair: not pair[0].straight
        ):
            target, source = self._pick(z, band), mixed[band.out : band.out + band.count]
            torch.baddbmm(target, matrix.transpose(1, 2), source, beta=0 if band.straight else 1, out=target)
        return z

    def add_weight_gradients(self, totals: Sequence[Tensor], mixed: Tensor, z: Tensor) -> None:
        """Add what a slab contributes to the gradients of the bands' matrices."""
        for band, total in zip(self.constants.bands, totals, strict=True):
            source = mixed[band.out : band.out + band.count]
            total.baddbmm_(source, self._pick(z, band).transpose(1, 2))

    def convolve(self, x: Tensor, y: Tensor, images: slice, matrices: Sequence[Tensor]) -> None:
        """Write the convolution of some images into ``y`` (B, O, N, H', W')."""
        count = images.stop - images.start
        flat = self.transform(x[images])
        for start, rows in self.slabs():
            mixed = self.mix(self.basis_maps(flat, count, start, rows), matrices).view(self.n, -1)
            turned = self.buffer("turned", self.n, self.out_fields, count, rows, self.columns)
            torch.mm(self.constants.inverse_NN, mixed, out=turned.view(self.n, -1))
            inside = turned[..., : self.size[1]].permute(2, 1, 0, 3, 4)
            y[images, :, :, start : start + rows].copy_(inside)

    def differentiate(
        self, x: Tensor, grad: Tensor, grad_x: Tensor | None, images: slice, matrices: Sequence[Tensor],
        totals: Sequence[Tensor | None],
    ) -> None:  # fmt: skip
        """Write the gradient at some images into ``grad_x`` and add that of the matrices to ``totals``."""
        count, learns = images.stop - images.start, totals[0] is not None
        flat = self.transform(x[images]) if learns else None
        if grad_x is not None:
            grad_flat = x.new_zeros(count * x.shape[1] * math.prod(self.padded) + self.window.kernel)
        for start, rows in self.slabs():
            # The thrown-away columns stay zero: a buffer is zero at first, and only this line writes to it.
            shape = (self.n, self.out_fields, count, rows, self.columns)
            turned = self.buffer(f"turned {count} {rows}", *shape)
            turned[..., : self.size[1]].copy_(grad[images, :, :, start : start + rows].permute(2, 1, 0, 3, 4))
            mixed = self.buffer("mixed", self.slots, 2 * self.out_fields, count * rows * self.columns)
            torch.mm(self.constants.inverse_NN.T, turned.view(self.n, -1), out=mixed.view(self.n, -1))
            if learns:
                self.add_weight_gradients(totals, mixed, self.basis_maps(flat, count, start, rows))
            if grad_x is not None:
                self.spread(grad_flat, self.mix_back(mixed, matrices), count, start, rows)
        if grad_x is not None:
            grad_x[images] = self.transform_back(grad_flat, count)

    def _pick(self, z: Tensor, band: Band) -> Tensor:
        slots = slice(band.source, band.source + band.count)
        return z[slots, band.first * self.fields : band.last * self.fields]


class _FourierConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, constants: _Constants, window: _Window, *matrices: Tensor) -> Tensor:
        ctx.save_for_backward(x, *matrices)
        ctx.constants, ctx.window = constants, window
        sizes = _Slabs(x, matrices, constants, window)
        y = x.new_empty(sizes.batch, sizes.out_fields, sizes.n, *sizes.size)

        def convolve(chunks: Sequence[slice]) -> None:
            call = _Slabs(x, matrices, constants, window)
            for images in chunks:
                call.convolve(x, y, images, matrices)

        run_shares(list(sizes.chunks()), convolve)
        return y.flatten(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, *matrices = ctx.saved_tensors
        sizes = _Slabs(x, matrices, ctx.constants, ctx.window)
        grad = grad.reshape(sizes.batch, sizes.out_fields, sizes.n, *sizes.size)
        grad_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        learns = any(ctx.needs_input_grad[3:])

        def differentiate(chunks: Sequence[slice]) -> list[Tensor | None]:
            call = _Slabs(x, matrices, ctx.constants, ctx.window)
            totals = [torch.zeros_like(matrix) if learns else None for matrix in matrices]
            for images in chunks:
                call.differentiate(x, grad, grad_x, images, matrices, totals)
            return totals

        first, *others = run_shares(list(sizes.chunks()), differentiate)
        if learns:
            for totals in others:
                for total, part in zip(first, totals, strict=True):
                    total.add_(part)
        return grad_x, None, None, *first
