r"""Depthwise steerable convolution: one filter per regular field, turned for each group element.

    y_f(p, g) = b_f + sum_x psi_f(g^-1 x) f_f(p + x, g),

which is a group convolution without products between fields or group elements, so that it costs what a
depthwise convolution of F * |G| channels does (arXiv 2201.03545 for the plain one).
Legend: F fields, K basis functions, G group elements, P pixels of the filter.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equirgz.geometry.field_type import FieldType, check_kinds
from equirgz.nn.autocast import float32_in_autocast
from equirgz.nn.conv.steerable import SteerableConv2d
from equirgz.nn.filters.basis import FilterBasis
from equirgz.nn.filters.resolution import check_resolution


class DepthwiseConv2d(SteerableConv2d):
    """Convolve every field with a filter of its own, turned by g for the channel of g.

    Parameters
    ----------
    in_type : regular fields.
    kernel_size : odd.
    stride, padding : as ``torch.nn.Conv2d``; padding defaults to ``kernel_size // 2``.
    bias : one number per field.
    basis : "harmonic" (any N) or "pixel" (N = 1, 2, 4).

    Shape: (B, in_type.size, H, W) -> (B, in_type.size, H', W'). Exact on the lattice as
    :class:`equirgz.nn.GroupConv2d`. Raises InputError for other fields, an even kernel, and a group too fine
    for the kernel (:mod:`equirgz.nn.filters.resolution`).
    """

    def __init__(
        self,
        in_type: FieldType,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int | None = None,
        bias: bool = False,
        basis: str = "harmonic",
    ) -> None:
        super().__init__(in_type, in_type, kernel_size, stride, padding, basis)
        check_kinds("DepthwiseConv2d input", in_type, "regular")
        check_resolution(self.basis, self.group, lifting=False)
        self.weight = nn.Parameter(torch.empty(in_type.count, len(self.basis)))
        self.bias = nn.Parameter(torch.zeros(in_type.count)) if bias else None
        self.register_derived()
        self.reset_parameters()

    @property
    def groups(self) -> int:
        """Every channel is convolved alone."""
        return self.in_channels

    def reset_parameters(self) -> None:
        """Draw weights so that white noise keeps its variance."""
        nn.init.normal_(self.weight, std=len(self.basis) ** -0.5)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def exact_buffers(self) -> dict[str, Tensor]:
        """Return the turned basis."""
        return {"turned_GKP": torch.from_numpy(self.basis.turned_GKP(self.group))}

    @float32_in_autocast
    def forward(self, x_BCHW: Tensor) -> Tensor:
        return super().forward(x_BCHW)

    def expand(self) -> Tensor:
        """Return the filters (F * G, 1, k, k) of the equivalent ordinary depthwise convolution."""
        filter_FGP = torch.einsum("fk,gkp->fgp", self.weight, self.turned_GKP)
        return filter_FGP.reshape(self.in_channels, 1, self.kernel_size, self.kernel_size)

    def expand_bias(self) -> Tensor | None:
        """Return the bias repeated over the group, or None."""
        return None if self.bias is None else self.bias.repeat_interleave(self.group.order)


def make_depthwise_conv(in_type: FieldType, kernel_size: int, *, basis: str | None = None) -> nn.Module:
    """Return the depthwise convolution with bias: :class:`DepthwiseConv2d`, and for trivial fields of C1 with
    ``basis`` None or "pixel" the ordinary one that it equals, drawn alike."""
    if in_type.group.order > 1 or basis == "harmonic":
        return DepthwiseConv2d(in_type, kernel_size, bias=True, basis=basis or "harmonic")
    side = FilterBasis(kernel_size, "pixel").kernel_size
    conv = nn.Conv2d(in_type.size, in_type.size, side, padding=side // 2, groups=in_type.size)
    nn.init.normal_(conv.weight, std=1 / side)
    nn.init.zeros_(conv.bias)
    conv.in_type = conv.out_type = in_type
    return conv
