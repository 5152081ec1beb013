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
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.errors import InputError, explain
from equirgz.geometry.group import Group
from equirgz.nn.derived import DerivedBuffers
from equirgz.nn.filters.basis import FilterBasis
from equirgz.nn.filters.resolution import check_resolution


def invariant_functions_KP(basis: FilterBasis, group: Group) -> np.ndarray:
    """Return an orthonormal set of combinations of ``basis`` that every element of ``group`` keeps (float64)."""
    mean_KK = basis.action_GKK(group).mean(0)
    left_KK, singular_K, _ = np.linalg.svd(mean_KK)
    return left_KK[:, singular_K > 0.5].T @ basis.values_KP


class TrivialConv2d(DerivedBuffers):
    """Convolution from regular (or trivial) fields of ``group`` to trivial fields.

    Parameters
    ----------
    group : the symmetry group.
    in_fields, out_fields : numbers of fields.
    kernel_size : odd.
    from_regular : whether the input fields are regular (|G| channels each) or trivial (one).
    stride, padding : as ``torch.nn.Conv2d``; padding defaults to ``kernel_size // 2``.
    bias : one number per output field.
    basis : "harmonic" (any N) or "pixel" (N = 1, 2, 4).

    Shapes: (B, in_fields * (|G| if from_regular else 1), H, W) -> (B, out_fields, H', W').
    NaN in the input spreads to every output that sees it. Raises InputError for a wrong input shape, and
    from regular fields for a group too fine for the kernel (:mod:`equirgz.nn.filters.resolution`).
    """

    def __init__(
        self,
        group: Group,
        in_fields: int,
        out_fields: int,
        kernel_size: int,
        *,
        from_regular: bool = True,
        stride: int = 1,
        padding: int | None = None,
        bias: bool = False,
        basis: str = "harmonic",
    ) -> None:
        super().__init__()
        self.group, self.from_regular = group, from_regular
        self.in_fields, self.out_fields = in_fields, out_fields
        self.kernel_size, self.stride = kernel_size, stride
        self.padding = kernel_size // 2 if padding is None else padding
        self.basis = FilterBasis(kernel_size, basis)
        if from_regular:
            check_resolution(self.basis, group, lifting=False)
        self.register_derived()
        self.weight = nn.Parameter(torch.empty(out_fields, in_fields, self.turned_GKP.shape[1]))
        self.bias = nn.Parameter(torch.zeros(out_fields)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights so that activations keep their variance through a ReLU (He, arXiv 1502.01852)."""
        fan_in = self.weight[0].numel() * (self.group.order if self.from_regular else 1)
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

    def forward(self, x_BCHW: Tensor) -> Tensor:
        channels = self.in_fields * (self.group.order if self.from_regular else 1)
        if x_BCHW.dim() != 4 or x_BCHW.shape[1] != channels:
            raise InputError(
                explain("TrivialConv2d input", expected=f"(B, {channels}, H, W)", got=tuple(x_BCHW.shape))
            )
        return F.conv2d(x_BCHW, self.expand(), self.bias, self.stride, self.padding)

    def to_conv2d(self) -> nn.Conv2d:
        """Return the ordinary convolution with the same outputs."""
        bank = self.expand().detach()
        plain = nn.Conv2d(
            bank.shape[1],
            bank.shape[0],
            self.kernel_size,
            self.stride,
            self.padding,
            bias=self.bias is not None,
        ).to(bank)
        plain.weight.data.copy_(bank)
        if self.bias is not None:
            plain.bias.data.copy_(self.bias.detach())
        return plain

    def extra_repr(self) -> str:
        source = "regular" if self.from_regular else "trivial"
        return (
            f"{self.group}, {self.in_fields} {source} -> {self.out_fields} trivial, "
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, basis={self.basis.kind}"
        )
