"""What all steerable convolutions share: types in and out, the expanded filter bank, the ordinary twin.

Legend: B batch, C channels, O I output and input fields, P pixels of a filter.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType, check_same_group
from equirgz.nn.derived import DerivedBuffers
from equirgz.nn.filters.basis import FilterBasis


class SteerableConv2d(DerivedBuffers):
    """Abstract convolution from ``in_type`` to ``out_type``. A subclass has :meth:`expand` and ``bias``.

    Attributes: ``in_type``, ``out_type``, ``group``, ``basis``, ``kernel_size``, ``stride``, ``padding``.
    Raises InputError for types of two groups, and for an input of other channels than ``in_type`` has.
    """

    bias: nn.Parameter | None
    groups = 1  # of channels that are convolved apart, as in ``torch.nn.Conv2d``

    def __init__(
        self,
        in_type: FieldType,
        out_type: FieldType,
        kernel_size: int,
        stride: int = 1,
        padding: int | None = None,
        basis: str = "harmonic",
    ) -> None:
        super().__init__()
        self.group = check_same_group(self._get_name(), in_type, out_type)
        self.in_type, self.out_type = in_type, out_type
        self.in_fields, self.out_fields = in_type.count, out_type.count
        self.in_channels, self.out_channels = in_type.size, out_type.size
        self.kernel_size, self.stride = kernel_size, stride
        self.basis = FilterBasis(kernel_size, basis)
        self.padding = kernel_size // 2 if padding is None else padding

    def expand(self) -> Tensor:
        """Return the filter bank (C', C / groups, k, k) of the equivalent ordinary convolution."""
        raise NotImplementedError

    def expand_bias(self) -> Tensor | None:
        """Return the bias of every channel, or None."""
        return self.bias

    def check_input(self, x_BCHW: Tensor) -> None:
        """Raise InputError unless the input has the channels of ``in_type``."""
        if x_BCHW.dim() != 4 or x_BCHW.shape[1] != self.in_channels:
            expected = f"(B, {self.in_channels}, H, W)"
            raise InputError(f"{self._get_name()} input", expected=expected, got=tuple(x_BCHW.shape))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        self.check_input(x_BCHW)
        return F.conv2d(x_BCHW, self.expand(), self.expand_bias(), self.stride, self.padding, groups=self.groups)

    def out_size(self, size: int) -> int:
        """Return the side of the output for an input of side ``size``, pixels."""
        return (size + 2 * self.padding - self.kernel_size) // self.stride + 1

    def multiply_adds(self, height: int, width: int) -> int:
        """Return the products of one image of ``height`` x ``width`` pixels, in the expanded form."""
        pixels = self.out_size(height) * self.out_size(width)
        return self.out_channels * pixels * self.in_channels // self.groups * self.kernel_size**2

    def to_plain(self) -> nn.Conv2d:
        """Return the ordinary convolution with the same outputs."""
        bank, bias = self.expand().detach(), self.expand_bias()
        sizes = (self.in_channels, self.out_channels, self.kernel_size, self.stride, self.padding)
        plain = nn.Conv2d(*sizes, groups=self.groups, bias=bias is not None).to(bank)
        plain.weight.data.copy_(bank)
        if bias is not None:
            plain.bias.data.copy_(bias.detach())
        return plain

    def extra_repr(self) -> str:
        return (
            f"{self.in_type} -> {self.out_type.fields}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, basis={self.basis.kind}"
        )
