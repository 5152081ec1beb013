r"""Convolution into trivial fields: from an equivariant stack to maps that only move in space.

With one filter psi_{oi} for each pair of fields (arXiv 1911.08251),

    regular input:  y_o(p) = b_o + sum_{i, h, x} psi_{oi}(h^-1 x) f_i(p + x, h)
    trivial input:  y_o(p) = b_o + sum_{i, x} psi_{oi}(x) f_i(p + x),   psi_{oi}(g x) = psi_{oi}(x),

so that turning the input by g turns y and does nothing else. For a trivial input only the
invariant functions of the basis are left. Legend: O I output and input fields, G group elements,
K basis functions, P pixels of the filter.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from equirgz.geometry.field_type import FieldType, check_kinds
from equirgz.geometry.group import Group
from equirgz.nn.conv.steerable import SteerableConv2d
from equirgz.nn.filters.basis import FilterBasis
from equirgz.nn.filters.pairs import fixed_vectors
from equirgz.nn.filters.resolution import check_resolution


def invariant_functions_KP(basis: FilterBasis, group: Group) -> np.ndarray:
    """Return an orthonormal set of combinations of ``basis`` that every element of ``group`` keeps (float64).

    The set is one and the same on every machine (:func:`equirgz.nn.filters.pairs.fixed_vectors`).
    """
    return fixed_vectors(basis.action_GKK(group)) @ basis.values_KP


class TrivialConv2d(SteerableConv2d):
    """Convolution from regular or trivial fields to trivial fields of the same group.

    Parameters
    ----------
    in_type : all regular, or all trivial.
    out_type : trivial fields of the same group.
    kernel_size : odd.
    stride, padding : as ``torch.nn.Conv2d``; padding defaults to ``kernel_size // 2``.
    bias : one number per output field.
    basis : "harmonic" (any N) or "pixel" (N = 1, 2, 4).

    Shapes: (B, in_type.size, H, W) -> (B, out_type.size, H', W').
    NaN in the input spreads to every output that sees it. Raises InputError for other types, a wrong input
    shape, and from regular fields for a group too fine for the kernel (:mod:`equirgz.nn.filters.resolution`).
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
        check_kinds("TrivialConv2d input", in_type, "regular", "trivial")
        check_kinds("TrivialConv2d output", out_type, "trivial")
        self.from_regular = in_type.is_regular
        if self.from_regular:
            check_resolution(self.basis, self.group, lifting=False)
        self.register_derived()
        self.weight = nn.Parameter(torch.empty(self.out_fields, self.in_fields, self.turned_GKP.shape[1]))
        self.bias = nn.Parameter(torch.zeros(self.out_fields)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights so that activations keep their variance through a ReLU (He, arXiv 1502.01852)."""
        fan_in = self.weight[0].numel() * self.in_type.field_size
        nn.init.normal_(self.weight, std=math.sqrt(2.0 / fan_in))
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def exact_buffers(self) -> dict[str, Tensor]:
        """Return the turned basis, or its invariant functions where the input fields are trivial."""
        if self.from_regular:
            return {"turned_GKP": torch.from_numpy(self.basis.turned_GKP(self.group))}
        return {"turned_GKP": torch.from_numpy(invariant_functions_KP(self.basis, self.group))[None]}

    def expand(self) -> Tensor:
        """Return the filter bank (O, I * G, k, k), or (O, I, k, k), of the equivalent ordinary convolution."""
        bank_OIGP = torch.einsum("oik,gkp->oigp", self.weight, self.turned_GKP)
        return bank_OIGP.reshape(self.out_fields, -1, self.kernel_size, self.kernel_size)
