"""Convolution between any two direct sums of fields: irreps, quotients, vectors, regular and trivial ones.

The filter bank is put together from one block per pair of kinds (:mod:`equirgz.nn.filters.pairs`); blocks
between regular fields are those of :class:`equirgz.nn.GroupConv2d`.
Legend: O I output and input fields, N solutions, D E channels of a field out and in, P pixels of a filter.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldPart, FieldType
from equirgz.nn.conv.group import GroupConv2d
from equirgz.nn.conv.steerable import SteerableConv2d
from equirgz.nn.derived import DerivedBuffers
from equirgz.nn.filters.basis import FilterBasis
from equirgz.nn.filters.pairs import pair_filters
from equirgz.nn.filters.resolution import check_resolution


class PairFilters(DerivedBuffers):
    """The filters from one kind of fields to another: ``weight`` (O, I, N) times the N solutions."""

    def __init__(self, basis: FilterBasis, source: FieldPart, target: FieldPart) -> None:
        super().__init__()
        self.basis, self.source, self.target = basis, source, target
        self.register_derived()
        self.weight = nn.Parameter(torch.empty(target.count, source.count, self.filters_NDEP.shape[0]))

    def exact_buffers(self) -> dict[str, Tensor]:
        """Return the solutions."""
        return {"filters_NDEP": torch.from_numpy(self._solutions().copy())}

    def _solutions(self) -> np.ndarray:
        return pair_filters(self.basis, self.source.representation, self.target.representation)

    @property
    def energy(self) -> float:
        """Squared filter values that one output channel sums over, for weights of unit variance."""
        return self.source.count * float(np.square(self._solutions()).sum()) / self.target.representation.size

    def expand(self) -> Tensor:
        """Return the bank (O * D, I * E, k, k)."""
        bank_ODIEP = torch.einsum("oin,ndep->odiep", self.weight, self.filters_NDEP)
        size = self.basis.kernel_size
        return bank_ODIEP.reshape(self.target.size, self.source.size, size, size)


class FieldConv2d(SteerableConv2d):
    """Convolution from ``in_type`` to ``out_type``, whatever fields they hold.

    Parameters
    ----------
    in_type, out_type : direct sums of fields of one group.
    kernel_size : odd.
    stride, padding : as ``torch.nn.Conv2d``; padding defaults to ``kernel_size // 2``.
    bias : one number per output field whose channels are permuted; others have none that is equivariant.
    basis : "harmonic" (any N) or "pixel" (N = 1, 2, 4).

    Shapes: (B, in_type.size, H, W) -> (B, out_type.size, H', W'). Law: y(g . f) = g . y(f), exact on the
    lattice as :class:`equirgz.nn.GroupConv2d`. Computed with the expanded filters. Raises InputError where no
    filter of that size leads to some output field, and for a group too fine for the kernel.
    """

    def __init__(
        self,
        in_type: FieldType,
        out_type: FieldType,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int | None = None,
        bias: bool = False,
        basis: str = "harmonic",
    ) -> None:
        super().__init__(in_type, out_type, kernel_size, stride, padding, basis)
        if not (in_type.is_trivial and out_type.is_trivial):
            check_resolution(self.basis, self.group, lifting=False)
        self.rows = nn.ModuleList(
            nn.ModuleList(self._block(source, target) for source in in_type.parts) for target in out_type.parts
        )
        biased = [part.count if part.representation.permutes else 0 for part in out_type.parts]
        self.bias = nn.Parameter(torch.zeros(sum(biased))) if bias and sum(biased) else None
        self.register_derived()
        self.reset_parameters()

    def _block(self, source: FieldPart, target: FieldPart) -> nn.Module:
        if self.group.order > 1 and source.type.is_regular and target.type.is_regular:
            return GroupConv2d(source.type, target.type, self.kernel_size, basis=self.basis.kind)
        return PairFilters(self.basis, source, target)

    def reset_parameters(self) -> None:
        """Draw weights so that activations keep their variance through a ReLU (He, arXiv 1502.01852).

        Raises InputError for output fields that no filter leads to.
        """
        for row, target in zip(self.rows, self.out_type.parts, strict=True):
            energy = sum(block.energy for block in row)
            if energy == 0.0:
                size = f"{self.kernel_size}x{self.kernel_size}"
                expected = f"{size} filters from {self.in_type} to {target.type.fields}"
                mend = "use a larger kernel, or other input fields"
                raise InputError("FieldConv2d", expected=expected, got="none that is equivariant", mend=mend)
            for block in row:
                nn.init.normal_(block.weight, std=math.sqrt(2.0 / energy))
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def exact_buffers(self) -> dict[str, Tensor]:
        """Return the field whose bias each channel has; the number beyond the last where it has none."""
        index, biased = [], 0 if self.bias is None else len(self.bias)
        start = 0
        for part in self.out_type.parts:
            if part.representation.permutes:
                index += [start + f for f in range(part.count) for _ in range(part.representation.size)]
                start += part.count
            else:
                index += [biased] * part.size
        return {} if self.bias is None else {"bias_of_channel_C": torch.tensor(index)}

    def expand(self) -> Tensor:
        """Return the filter bank (C', C, k, k) of the equivalent ordinary convolution."""
        return torch.cat([torch.cat([block.expand() for block in row], 1) for row in self.rows])

    def expand_bias(self) -> Tensor | None:
        """Return the bias of every channel, or None."""
        if self.bias is None:
            return None
        return torch.cat([self.bias, self.bias.new_zeros(1)])[self.bias_of_channel_C]
