"""Pooling over space, without breaking the lattice, and over the group.

Stride-2 pooling with odd windows is exact under quarter turns when the input size is odd: the kept
pixels then lie symmetrically about the centre. Antialiasing (arXiv 1904.11486) keeps it nearly
exact at other angles.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType
from equirgz.nn.autocast import float32_in_autocast
from equirgz.nn.cpu.max_blur import Pooling, max_blur2d, pool_kernels
from equirgz.nn.cpu.sliding_max import sliding_max2d
from equirgz.nn.derived import DerivedBuffers


class _GaussianDownsample(DerivedBuffers):
    """Depthwise blur with a normalised Gaussian and stride: the shared half of both pools below."""

    def __init__(self, in_type: FieldType, sigma: float, stride: int) -> None:
        super().__init__()
        self.in_type = self.out_type = in_type
        self.channels, self.sigma, self.stride = in_type.size, sigma, stride
        self.half_width = max(1, round(4 * sigma)) if sigma > 0 else 0
        self.padding = self.half_width
        self.register_derived()

    def exact_kernel(self) -> Tensor:
        """Return the Gaussian in float64, of sum 1."""
        axis = torch.arange(-self.half_width, self.half_width + 1, dtype=torch.float64)
        line = torch.exp(-0.5 * (axis / self.sigma) ** 2) if self.sigma > 0 else torch.ones(1, dtype=torch.float64)
        kernel = line[:, None] * line[None, :]
        return kernel / kernel.sum()

    def exact_buffers(self) -> dict[str, Tensor]:
        """Return the Gaussian."""
        return {"kernel_HW": self.exact_kernel()}

    def _ordinary_blur(self) -> nn.Conv2d:
        """Return the ordinary depthwise convolution with the same outputs."""
        plain = nn.Conv2d(
            self.channels,
            self.channels,
            2 * self.half_width + 1,
            self.stride,
            self.padding,
            groups=self.channels,
            bias=False,
        ).to(self.kernel_HW)
        plain.weight.data.copy_(self.kernel_HW.expand_as(plain.weight))
        return plain

    def blur(self, x_BCHW: Tensor) -> Tensor:
        kernel = self.kernel_HW.to(x_BCHW.dtype).expand(self.channels, 1, -1, -1)
        return F.conv2d(x_BCHW, kernel, stride=self.stride, padding=self.padding, groups=self.channels)


class AntialiasedAvgPool2d(_GaussianDownsample):
    """Gaussian blur (standard deviation ``sigma`` pixels, window of +-4 sigma) and subsampling by ``stride``.

    Shape: (B, C, H, W) -> (B, C, H', W') with H' = (H - 1) // stride + 1. Linear, so NaN spreads.
    The attribute ``padding`` (half the window) is another one in converted networks alone.
    """

    def __init__(self, in_type: FieldType, sigma: float = 0.6, stride: int = 2) -> None:
        super().__init__(in_type, sigma, stride)

    @float32_in_autocast
    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.blur(x_BCHW)

    def to_plain(self) -> nn.Module:
        """Return the ordinary layers with the same outputs."""
        return self._ordinary_blur()

    def extra_repr(self) -> str:
        return f"{self.in_type}, sigma={self.sigma}, stride={self.stride}"


class AntialiasedMaxPool2d(_GaussianDownsample):
    """Dense maximum over a ``window``, then Gaussian blur and subsampling by ``stride``.

    An odd window is padded by ``window // 2`` and exact on the lattice; the window 2 of the
    published networks is not (half a pixel off) and is kept for reproduction.
    """

    takes_relu = True

    def __init__(self, in_type: FieldType, window: int = 3, sigma: float = 0.6, stride: int = 2) -> None:
        super().__init__(in_type, sigma, stride)
        if not in_type.permutes:
            expected = "fields whose channels are permuted (regular, trivial, quotient)"
            mend = "use AntialiasedAvgPool2d"
            raise InputError("AntialiasedMaxPool2d input", expected=expected, got=str(in_type), mend=mend)
        self.window = window
        self.window_padding = window // 2 if window % 2 else 0

    def exact_buffers(self) -> dict[str, Tensor]:
        """Return the Gaussian, and the same along one axis."""
        return super().exact_buffers() | {"line_W": self.exact_kernel().sum(0)}

    @float32_in_autocast
    def forward(self, x_BCHW: Tensor, rectify: bool = False) -> Tensor:
        """Return the pooled maps; with ``rectify`` those of the positive part of ``x_BCHW``, sooner than by a ReLU."""
        kernels = pool_kernels(x_BCHW, self.window, self.window_padding)
        if kernels is not None and self.line_W.dtype == torch.float32 and self.padding == self.half_width:
            pooling = Pooling(self.window, self.window_padding, self.stride, rectify, self.line_W)
            return max_blur2d(kernels, x_BCHW, pooling)
        x_BCHW = torch.relu(x_BCHW) if rectify else x_BCHW
        return self.blur(sliding_max2d(x_BCHW, self.window, self.window_padding))

    def to_plain(self) -> nn.Module:
        """Return the ordinary layers with the same outputs."""
        return nn.Sequential(nn.MaxPool2d(self.window, 1, self.window_padding), self._ordinary_blur())

    def extra_repr(self) -> str:
        return f"{self.in_type}, window={self.window}, sigma={self.sigma}, stride={self.stride}"


class GroupPooling(nn.Module):
    """Pool each field over its channels: y_f(p) = max_d f(p, d) (or the mean), and its length where they mix.

    Shape: (B, in_type.size, H, W) -> (B, in_type.count, H, W): one trivial field for each field, whatever its
    kind. For regular fields this is the maximum over the group; trivial ones stay as they are.
    """

    def __init__(self, in_type: FieldType, how: str = "max") -> None:
        super().__init__()
        if how not in ("max", "mean"):
            raise InputError("group pooling", expected="'max' or 'mean'", got=repr(how))
        self.in_type, self.how = in_type, how
        self.out_type = FieldType.trivial(in_type.group, in_type.count)
        self._parts = [(part.size, part.representation.size, part.representation.permutes) for part in in_type.parts]

    def forward(self, x_BCHW: Tensor) -> Tensor:
        sizes = [channels for channels, _, _ in self._parts]
        parts = x_BCHW.split(sizes, 1) if len(sizes) > 1 else (x_BCHW,)
        pooled = [
            self._pool(part, size, permutes) for part, (_, size, permutes) in zip(parts, self._parts, strict=True)
        ]
        return torch.cat(pooled, 1) if len(pooled) > 1 else pooled[0]

    def _pool(self, x_BCHW: Tensor, size: int, permutes: bool) -> Tensor:
        x_BFDHW = x_BCHW.unflatten(1, (-1, size))
        if not permutes:
            return torch.linalg.vector_norm(x_BFDHW, dim=2)
        if size == 1:
            return x_BCHW
        return x_BFDHW.amax(2) if self.how == "max" else x_BFDHW.mean(2)

    def to_plain(self) -> nn.Module:
        """Return the ordinary layers with the same outputs: the channels of a field are the depth of a 3-D
        pooling. Of mixed kinds the layer itself, which consists of ordinary operators."""
        if len(self._parts) > 1 or not self.in_type.permutes:
            return copy.deepcopy(self)
        size = self.in_type.field_size
        if size == 1:
            return nn.Identity()
        pool = (nn.MaxPool3d if self.how == "max" else nn.AvgPool3d)((size, 1, 1))
        return nn.Sequential(nn.Unflatten(1, (-1, size)), pool, nn.Flatten(1, 2))

    def extra_repr(self) -> str:
        return f"{self.in_type}, {self.how}"
