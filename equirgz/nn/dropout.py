"""Dropout that keeps equivariance: a field is dropped whole, over the group and over space."""

from __future__ import annotations

from numbers import Real

import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType


def check_dropout(p: object) -> float:
    """Return the probability ``p``; raise InputError unless it is a number with 0 <= p < 1."""
    if isinstance(p, bool) or not isinstance(p, Real) or not 0.0 <= p < 1.0:
        mend = "use 0 to drop nothing, or such as 0.2"
        raise InputError("dropout", expected="a number with 0 <= p < 1", got=repr(p), mend=mend)
    return float(p)


class FieldDropout(nn.Module):
    """In training, zero each field of each image with probability ``p`` and scale the rest by 1/(1-p).

    Shape: (B, in_type.size, H, W) -> the same; all channels of a field share one draw.
    Raises InputError unless 0 <= p < 1, and for fields of several kinds (use ``per_kind``).
    """

    def __init__(self, in_type: FieldType, p: float = 0.5) -> None:
        super().__init__()
        self.in_type = self.out_type = in_type
        self._field_size, self.p = in_type.field_size, check_dropout(p)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if not self.training or self.p == 0.0:
            return x_BCHW
        batch, channels, height, width = x_BCHW.shape
        by_field = x_BCHW.reshape(batch, channels // self._field_size, self._field_size * height, width)
        return F.dropout2d(by_field, self.p, True).reshape(batch, channels, height, width)

    def to_plain(self) -> nn.Module:
        """Return what stands for dropout in eval mode: nothing."""
        return nn.Identity()

    def extra_repr(self) -> str:
        return f"{self.in_type}, p={self.p}"
