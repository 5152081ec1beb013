"""Nonlinearities of fields: of single numbers where channels are permuted, of lengths where they mix."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equirgz.geometry.field_type import FieldType


class LengthReLU(nn.Module):
    r"""Shorten each field by a learnt length b_f >= 0 cut off at zero (arXiv 1612.04642).

        y_f(p) = x_f(p) max(|x_f(p)| - b_f, 0) / |x_f(p)|,        |.| over the channels of one field

    which commutes with every orthogonal representation, irreps and vectors among them.
    Shape: (B, in_type.size, H, W) -> the same; ``in_type`` holds one kind of fields.
    """

    def __init__(self, in_type: FieldType) -> None:
        super().__init__()
        self.in_type = self.out_type = in_type
        self._field = (in_type.count, in_type.field_size)
        self.threshold = nn.Parameter(torch.full((in_type.count,), 0.1))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BFDHW = x_BCHW.unflatten(1, self._field)
        tiny = torch.finfo(x_BCHW.dtype).tiny
        length_BF1HW = x_BFDHW.square().sum(2, keepdim=True).clamp(min=tiny).sqrt()
        kept_BF1HW = torch.relu(length_BF1HW - self.threshold[:, None, None, None]) / length_BF1HW
        return (x_BFDHW * kept_BF1HW).flatten(1, 2)

    def extra_repr(self) -> str:
        return str(self.in_type)
