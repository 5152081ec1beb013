"""One call of the factored group convolution, slab by slab: the steps of :mod:`equirgz.nn.cpu.fourier`.

Legend: B batch, I O fields, F flips, G elements, S slots, A parts of a slot, E edges, M L basis maps of a slot and of
an edge, K real filters, Q pixels of a slab (whole padded rows for stride 1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from equirgz.nn.cpu.compiled import SumTable, kernels_for
from equirgz.nn.cpu.fourier_plan import Combination, Term

# Size of the shifted copies of one slab: measured best, with 2 MB of cache per core.
_SLAB_BYTES = 4 * 2**20


class Window(NamedTuple):
    """How filters are laid over a map."""

    kernel: int
    stride: int
    padding: int


@dataclass(frozen=True)
class Constants:
    """The plan as tensors of one dtype and device."""

    transform_GG: Tensor
    inverse_AGC: Tensor  # from the mixed maps of each part that is not mixed with the other
    filters_KP: Tensor
    weights: Tensor
    edge_weights: Tensor
    combinations: tuple[Combination, ...]
    sums: SumTable

    @property
    def flips(self) -> int:
        return self.weights.shape[2]


class Mixing(NamedTuple):
    """The matrices that mix fields: (S - 1, A * F * O, M * F * I * A), and (E * A, O, L * F * I) or (E, O, A * L * I)
    of the edges."""

    slots: Tensor
    edges: Tensor


class Slabs:
    """The sizes of one call, its division into slabs, and buffers that all slabs share."""

    def __init__(self, x: Tensor, mixing: Mixing, constants: Constants, window: Window) -> None:
        self.constants, self.window, self.mixing = constants, window, mixing
        self.order, self.flips = len(constants.transform_GG), constants.flips
        self.slots, self.filters = self.order // self.flips // 2, len(constants.filters_KP)
        self.maps, self.edge_maps = constants.weights.shape[3], constants.edge_weights.shape[2]
        self.batch, self.fields = x.shape[0], x.shape[1] // self.order
        self.out_fields = mixing.edges.shape[1]
        self.padded = tuple(size + 2 * window.padding for size in x.shape[-2:])
        self.size = tuple((size - window.kernel) // window.stride + 1 for size in self.padded)
        # Whole padded rows, with a few columns to throw away, make a shift one contiguous copy.
        self.columns = self.padded[1] if window.stride == 1 else self.size[1]
        pixels = max(1, _SLAB_BYTES // (x.shape[1] * window.kernel**2 * x.element_size()))
        self.rows = min(self.size[0], max(1, round(pixels / self.columns)))
        self.images = max(1, min(self.batch, pixels // (self.columns * self.size[0])))
        self._buffers: dict[str, Tensor] = {}
        self._views: dict[tuple[str, int], list[tuple[Any, ...]]] = {}
        self._like = x
        self.kernels = kernels_for(x.dtype, window.kernel, window.stride)
        self.tail = window.kernel + 64  # floats that shifted rows and vectors may run into

    def chunks(self) -> Iterator[slice]:
        """Yield the images that are worked on together."""
        for start in range(0, self.batch, self.images):
            yield slice(start, min(start + self.images, self.batch))

    def convolve(self, x: Tensor, y: Tensor, images: slice) -> None:
        """Write the convolution of some images into ``y`` (B, O, G, H', W')."""
        count = images.stop - images.start
        flat = self._transform(x[images])
        for start, rows in self._slabs():
            z, edges = self._basis_maps(flat, count, start, rows)
            mixed = self._mixed(z.shape[-1])
            for matrices, maps, target in self._products(self.mixing, z, edges, mixed):
                torch.bmm(matrices, maps, out=target)
            turned = self._buffer("turned", self.out_fields, self.order, count, rows, self.columns)
            flat_turned = turned.view(self.out_fields, self.order, -1)
            for i, (inverse_GC, source) in enumerate(self._parts(mixed)):
                matrices = inverse_GC.expand(self.out_fields, -1, -1)
                torch.baddbmm(flat_turned, matrices, source, beta=int(i > 0), out=flat_turned)
            y[images, :, :, start : start + rows].copy_(turned[..., : self.size[1]].permute(2, 0, 1, 3, 4))

    def differentiate(
        self, x: Tensor, grad: Tensor, grad_x: Tensor | None, images: slice, totals: Mixing | None
    ) -> None:
        """Write the gradient at some images into ``grad_x`` and add that of the matrices to ``totals``."""
        count = images.stop - images.start
        flat = self._transform(x[images]) if totals is not None else None
        if grad_x is not None:
            grad_flat = x.new_zeros(count * x.shape[1] * math.prod(self.padded) + self.tail)
        for start, rows in self._slabs():
            # The thrown-away columns stay zero: a buffer is zero at first, and only this line writes to it.
            shape = (self.out_fields, self.order, count, rows, self.columns)
            turned = self._buffer(f"turned {count} {rows}", *shape)
            turned[..., : self.size[1]].copy_(grad[images, :, :, start : start + rows].permute(1, 2, 0, 3, 4))
            mixed = self._mixed(count * rows * self.columns)
            for inverse_GC, target in self._parts(mixed):
                torch.bmm(inverse_GC.T.expand(self.out_fields, -1, -1), turned.flatten(2), out=target)
            if totals is not None:
                z, edges = self._basis_maps(flat, count, start, rows)
                for total, maps, source in self._products(totals, z, edges, mixed):
                    total.baddbmm_(source, maps.transpose(1, 2))
            if grad_x is not None:
                z, edges = self._maps("z gradient", mixed.shape[-1])
                for matrices, maps, source in self._products(self.mixing, z, edges, mixed):
                    torch.bmm(matrices.transpose(1, 2), source, out=maps)
                self._spread(grad_flat, z, edges, count, start, rows)
        if grad_x is not None:
            grad_x[images] = self._transform_back(grad_flat, count)

    def _slabs(self) -> Iterator[tuple[int, int]]:
        """Yield first output row and number of rows of each slab."""
        for start in range(0, self.size[0], self.rows):
            yield start, min(self.rows, self.size[0] - start)

    def _buffer(self, name: str, *shape: int) -> Tensor:
        """Return memory of this shape, zero at first and later whatever the last user left."""
        numel = math.prod(shape)
        if name not in self._buffers or self._buffers[name].numel() < numel:
            zero = name.startswith(("turned", "z edges", "flat"))
            self._buffers[name] = self._like.new_zeros(numel) if zero else self._like.new_empty(numel)
        return self._buffers[name][:numel].view(shape)

    def _mixed(self, pixels: int) -> Tensor:
        """Return a buffer (S, F, O, A, Q), or (S, A, O, Q) where parts are mixed."""
        shape = (self.flips, self.out_fields, 2) if self.flips == 2 else (2, self.out_fields)
        return self._buffer("mixed", self.slots, *shape, pixels)

    def _maps(self, name: str, pixels: int) -> tuple[Tensor, Tensor]:
        """Return buffers z (S - 1, M, F, I, A, Q) and the edges' (E, A, L, F, I, Q)."""
        fibre = (self.flips, self.fields)
        z = self._buffer(name, self.slots - 1, self.maps, *fibre, 2, pixels)
        return z, self._buffer(f"{name} edges {pixels}", 2, 2, self.edge_maps, *fibre, pixels)

    def _transform(self, x_BCHW: Tensor) -> Tensor:
        """Return the padded slots of some images, flat, with a tail that shifted rows may run into."""
        padded = F.pad(x_BCHW, (self.window.padding,) * 4) if self.window.padding else x_BCHW
        padded = padded.reshape(-1, self.order, math.prod(self.padded))
        flat = self._buffer("flat", padded.numel() + self.tail)
        matrix = self.constants.transform_GG.expand(padded.shape[0], -1, -1)
        torch.bmm(matrix, padded, out=flat[: padded.numel()].view_as(padded))
        return flat

    def _transform_back(self, flat: Tensor, images: int) -> Tensor:
        """Return the gradient at the images, from that at the padded slots."""
        planes = flat[: -self.tail].view(images * self.fields, self.order, -1)
        planes = torch.bmm(self.constants.transform_GG.T.expand(len(planes), -1, -1), planes)
        height, width = (slice(self.window.padding, size - self.window.padding) for size in self.padded)
        return planes.view(images, -1, *self.padded)[:, :, height, width]

    def _shifted(self, flat: Tensor, images: int, start: int, rows: int) -> Tensor:
        """Return the view (k, k, S * A * F, I, images, rows, columns) of all shifts of a slab."""
        (height, width), k, stride = self.padded, self.window.kernel, self.window.stride
        plane = height * width
        field, image = self.order * plane, self.fields * self.order * plane
        return flat.as_strided(
            (k, k, self.order, self.fields, images, rows, self.columns),
            (width, 1, plane, field, image, stride * width, stride),
            start * stride * width,
        )

    def _filtered(self, copies: Tensor) -> Tensor:
        """Return the buffer r (K, S, A, F, I, Q)."""
        pixels = math.prod(copies.shape[-3:])
        return self._buffer("r", self.filters, self.slots, 2, self.flips, self.fields, pixels)

    def _basis_maps(self, flat: Tensor, images: int, start: int, rows: int) -> tuple[Tensor, Tensor]:
        """Return the basis maps of a slab: every filter over every map, then sums of two of those."""
        if self.kernels is not None:
            z, edges = self._maps("z", images * rows * self.columns)
            self.kernels.run("basis_maps", self._call(images, start, rows), flat, z, edges)
            return z, edges
        shifted = self._shifted(flat, images, start, rows)
        copies = self._buffer("copies", *shifted.shape).copy_(shifted)
        r = self._filtered(copies)
        torch.mm(self.constants.filters_KP, copies.view(self.window.kernel**2, -1), out=r.view(self.filters, -1))
        z, edges = self._maps("z", r.shape[-1])
        for target, (sign, first), *others in self._sums("z", r, z, edges):
            if others:
                torch.add(first, others[0][1], alpha=others[0][0], out=target)  # the first is positive
            elif sign > 0:
                target.copy_(first)
            else:
                torch.neg(first, out=target)
        return z, edges

    def _call(self, images: int, start: int, rows: int) -> Any:
        (height, width), sums = self.padded, self.constants.sums
        return sums.call(
            self.constants.filters_KP, slots=self.slots, flips=self.flips, fields=self.fields, images=images,
            height=height, width=width, kernel=self.window.kernel, start=start, rows=rows, columns=self.columns,
        )  # fmt: skip

    def _sums(self, name: str, r: Tensor, z: Tensor, edges: Tensor) -> list[tuple[Any, ...]]:
        """Return (part of the basis maps, (sign, filtered maps), ...) of every combination, made once per size."""
        key = (name, r.shape[-1])
        if key not in self._views:
            self._views[key] = [
                (_target(sums, z, edges), *((term.sign, _source(sums, term, r)) for term in sums.terms))
                for sums in self.constants.combinations
            ]
        return self._views[key]

    def _spread(self, flat: Tensor, z: Tensor, edges: Tensor, images: int, start: int, rows: int) -> None:
        """Add the gradients at the basis maps of a slab to those at the padded slots."""
        if self.kernels is not None:
            return self.kernels.run("spread", self._call(images, start, rows), flat, z, edges)
        shifted = self._shifted(flat, images, start, rows)
        copies = self._buffer("copies", *shifted.shape)
        r = self._filtered(copies).zero_()
        for target, *terms in self._sums("z gradient", r, z, edges):
            for sign, source in terms:
                source.add_(target, alpha=sign)
        flat_r, flat_copies = r.view(self.filters, -1), copies.view(self.window.kernel**2, -1)
        torch.mm(self.constants.filters_KP.T, flat_r, out=flat_copies)
        for dy in range(self.window.kernel):
            for dx in range(self.window.kernel):
                shifted[dy, dx].add_(copies[dy, dx])
        return None

    def _products(
        self, mixing: Mixing, z: Tensor, edges: Tensor, mixed: Tensor
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield stacks of matrices, of the basis maps that they mix, and of the mixed maps, each three dimensional."""
        pixels = mixed.shape[-1]
        if self.flips == 1:  # parts are mixed
            yield mixing.slots, z.view(self.slots - 1, -1, pixels), mixed[1:].flatten(1, 2)
            yield mixing.edges, edges.view(2, -1, pixels), mixed[0]
        else:
            yield mixing.slots, z.view(self.slots - 1, -1, 2 * pixels), mixed[1:].view(self.slots - 1, -1, 2 * pixels)
            for edge in range(2):  # its flips are its parts
                yield mixing.edges[2 * edge : 2 * edge + 2], edges[edge].view(2, -1, pixels), mixed[0, :, :, edge]

    def _parts(self, mixed: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the way back from the mixed maps, and those, (O, S * F, Q) for each part or (O, S * A, Q)."""
        for part, inverse_GC in enumerate(self.constants.inverse_AGC):
            flat = mixed.flatten(0, 1)
            yield inverse_GC, (flat[:, :, part] if self.flips == 2 else flat).transpose(0, 1)


def _target(combination: Combination, z: Tensor, edges: Tensor) -> Tensor:
    """Return where a combination goes: (maps, slots, F, I, Q)."""
    maps, part, out = slice(combination.first, combination.last), combination.part, combination.out
    if combination.edge:
        return edges[out, part, maps, combination.flips].unsqueeze(1)
    return z[out - 1 : out - 1 + combination.count, maps, combination.flips, :, part].transpose(0, 1)


def _source(combination: Combination, term: Term, r: Tensor) -> Tensor:
    """Return the filtered maps that a term takes: (maps, slots, F, I, Q)."""
    rows = slice(term.row, term.row + combination.last - combination.first)
    return r[rows, term.slot : term.slot + combination.count, term.part, combination.flips]
