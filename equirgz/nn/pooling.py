"""Pooling over space, without breaking the lattice, and over the group.

Stride-2 pooling with odd windows is exact under quarter turns when the input size is odd: the kept
pixels then lie symmetrically about the centre. Antialiasing (arXiv 1904.11486) keeps it nearly
exact at other angles.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.errors import InputError, explain
from equirgz.geometry.group import Group
from equirgz.nn.cpu.sliding_max import sliding_max2d
from equirgz.nn.derived import DerivedBuffers


class _GaussianDownsample(DerivedBuffers):
    """Depthwise blur with a normalised Gaussian and stride: the shared half of both pools below."""

    def __init__(self, channels: int, sigma: float, stride: int) -> None:
        super().__init__()
        self.channels, self.sigma, self.stride = channels, sigma, stride
        self.half_width = max(1, round(4 * sigma)) if sigma > 0 else 0
        self.padding = self.half_width
        self.register_derived()

    def exact_kernel(self) -> Tensor:
        """Return the Gaussian in float64, of sum 1."""
        axis = torch.arange(-self.half_width, self.half_width + 1, dtype=torch.float64)
        line = (
            torch.exp(-0.5 * (axis / self.sigma) ** 2)
            if self.sigma > 0
            else torch.ones(1, dtype=torch.float64)
        )
        kernel = line[:, None] * line[None, :]
        return kernel / kernel.sum()

    def exact_buffers(self) -> dict[str, Tensor]:
        """Return the Gaussian."""
        return {"kernel_HW": self.exact_kernel()}

    def to_conv2d(self) -> nn.Conv2d:
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

    def __init__(self, channels: int, sigma: float = 0.6, stride: int = 2) -> None:
        super().__init__(channels, sigma, stride)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.blur(x_BCHW)

    def to_plain(self) -> nn.Module:
        """Return the ordinary layers with the same outputs."""
        return self.to_conv2d()

    def extra_repr(self) -> str:
        return f"{self.channels}, sigma={self.sigma}, stride={self.stride}"


class AntialiasedMaxPool2d(_GaussianDownsample):
    """Dense maximum over a ``window``, then Gaussian blur and subsampling by ``stride``.

    An odd window is padded by ``window // 2`` and exact on the lattice; the window 2 of the
    published networks is not (half a pixel off) and is kept for reproduction.
    """

    def __init__(self, channels: int, window: int = 3, sigma: float = 0.6, stride: int = 2) -> None:
        super().__init__(channels, sigma, stride)
        self.window = window
        self.window_padding = window // 2 if window % 2 else 0

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.blur(sliding_max2d(x_BCHW, self.window, self.window_padding))

    def to_plain(self) -> nn.Module:
        """Return the ordinary layers with the same outputs."""
        return nn.Sequential(nn.MaxPool2d(self.window, 1, self.window_padding), self.to_conv2d())

    def extra_repr(self) -> str:
        return f"{self.channels}, window={self.window}, sigma={self.sigma}, stride={self.stride}"


class GroupPooling(nn.Module):
    """Pool each regular field over the group: y_f(p) = max_g f(p, g) (or the mean).

    Shape: (B, F * |G|, H, W) -> (B, F, H, W). The result is a stack of trivial fields.
    """

    def __init__(self, group: Group, how: str = "max") -> None:
        super().__init__()
        if how not in ("max", "mean"):
            raise InputError(explain("group pooling", expected="'max' or 'mean'", got=repr(how)))
        self.group, self.how = group, how

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if self.group.order == 1:
            return x_BCHW
        x_BFGHW = x_BCHW.unflatten(1, (-1, self.group.order))
        return x_BFGHW.amax(2) if self.how == "max" else x_BFGHW.mean(2)

    def to_plain(self) -> nn.Module:
        """Return the ordinary layers with the same outputs: the group axis is the depth of a 3-D pooling."""
        order = self.group.order
        if order == 1:
            return nn.Identity()
        pool = (nn.MaxPool3d if self.how == "max" else nn.AvgPool3d)((order, 1, 1))
        return nn.Sequential(nn.Unflatten(1, (-1, order)), pool, nn.Flatten(1, 2))

    def extra_repr(self) -> str:
        return f"{self.group}, {self.how}"
