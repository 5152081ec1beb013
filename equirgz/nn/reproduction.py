"""Layers of published networks that this project would not choose, kept to reproduce them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.geometry.field_type import FieldType
from equirgz.nn.dropout import check_dropout
from equirgz.nn.readout import FixedMask


class SoftDiskMask(FixedMask):
    """The disk mask of the published steerable networks (arXiv 2102.08252, 2111.04742), soft at its edge.

        m(r) = 1 for r <= t, else exp(-(r^2 - t^2) / sigma^2),      t = (1 - margin / 100) (size - 1) / 2,

    with r in pixels from the centre, ``margin`` in per cent and ``sigma`` = 2 pixels. Light outside
    the disk still leaks in, so it tells a rotated corner; :class:`equirgz.nn.DiskMask` does not.
    """

    def __init__(self, size: int, margin_percent: float = 0.0, sigma_px: float = 2.0) -> None:
        super().__init__(size)
        self.margin_percent, self.sigma_px = margin_percent, sigma_px
        self.register_derived()

    def exact_mask(self) -> Tensor:
        """Return m(r) at every pixel."""
        axis = torch.arange(self.size, dtype=torch.float64) - (self.size - 1) / 2
        edge = (1.0 - self.margin_percent / 100.0) * (self.size - 1) / 2
        beyond_HW = (axis[:, None] ** 2 + axis[None, :] ** 2 - edge**2).clamp(min=0.0)
        return torch.exp(-beyond_HW / self.sigma_px**2)

    def extra_repr(self) -> str:
        return f"size={self.size}, margin_percent={self.margin_percent}, sigma_px={self.sigma_px}"


class PixelFieldDropout(nn.Module):
    """In training, zero a field at single pixels with probability ``p``; all channels of the field share the draw.

    Kept values are scaled by 1 / (1 - p). The law is equivariant in distribution. Neighbouring pixels
    of a map are alike, so that this regularises less than :class:`equirgz.nn.FieldDropout`.
    Shape: (B, in_type.size, H, W) -> the same.
    """

    def __init__(self, in_type: FieldType, p: float = 0.5) -> None:
        super().__init__()
        self.in_type = self.out_type = in_type
        self._field_size, self.p = in_type.field_size, check_dropout(p)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if not self.training or self.p == 0.0:
            return x_BCHW
        x_BFDHW = x_BCHW.unflatten(1, (-1, self._field_size))
        keep_BF1HW = F.dropout(torch.ones_like(x_BFDHW[:, :, :1]), self.p, True)
        return (x_BFDHW * keep_BF1HW).flatten(1, 2)

    def to_plain(self) -> nn.Module:
        """Return what stands for dropout in eval mode: nothing."""
        return nn.Identity()

    def extra_repr(self) -> str:
        return f"{self.in_type}, p={self.p}"
