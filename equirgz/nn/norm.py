"""Batch normalisation of regular fields: one mean, variance, scale and shift per field."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equirgz.geometry.group import Group


class FieldBatchNorm2d(nn.Module):
    """Normalise each field over batch, space AND group elements, so that the fibre is not distorted.

    y = gamma_f (x - mean_f) / sqrt(var_f + eps) + beta_f, with statistics over (B, G, H, W).
    Shape: (B, F * |G|, H, W) -> the same. Parameters and buffers have length F.
    """

    def __init__(self, group: Group, fields: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.group, self.fields = group, fields
        self.norm = nn.BatchNorm2d(fields, eps=eps, momentum=momentum)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        batch, channels, height, width = x_BCHW.shape
        by_field = x_BCHW.reshape(batch, self.fields, self.group.order * height, width)
        return self.norm(by_field).reshape(batch, channels, height, width)

    def to_batch_norm(self) -> nn.BatchNorm2d:
        """Return the ordinary BatchNorm2d with the same outputs in eval mode."""
        order, norm = self.group.order, self.norm
        plain = nn.BatchNorm2d(self.fields * order, norm.eps, norm.momentum).to(norm.weight)
        with torch.no_grad():
            for name in ("weight", "bias", "running_mean", "running_var"):
                getattr(plain, name).copy_(getattr(norm, name).repeat_interleave(order))
            plain.num_batches_tracked.copy_(norm.num_batches_tracked)
        return plain

    def extra_repr(self) -> str:
        return f"{self.group}"


def make_norm(group: Group, fields: int) -> nn.Module:
    """Return a :class:`FieldBatchNorm2d`, or for C1 the ordinary BatchNorm2d that it equals."""
    return nn.BatchNorm2d(fields) if group.order == 1 else FieldBatchNorm2d(group, fields)


class FieldLayerNorm2d(nn.Module):
    """Normalise each position over fields AND group elements; scale and shift each field.

    y_f(p, g) = gamma_f (x_f(p, g) - mean(p)) / sqrt(var(p) + eps) + beta_f, statistics over (F, G).
    Batches play no part, so training and eval agree. Shape: (B, F * |G|, H, W) -> the same.
    """

    def __init__(self, group: Group, fields: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.group, self.eps = group, eps
        self.weight = nn.Parameter(torch.ones(fields))
        self.bias = nn.Parameter(torch.zeros(fields))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        variance_B1HW, mean_B1HW = torch.var_mean(x_BCHW, 1, correction=0, keepdim=True)
        y_BCHW = (x_BCHW - mean_B1HW) * torch.rsqrt(variance_B1HW + self.eps)
        weight_C11, bias_C11 = (
            p.repeat_interleave(self.group.order)[:, None, None] for p in (self.weight, self.bias)
        )
        return y_BCHW * weight_C11 + bias_C11

    def extra_repr(self) -> str:
        return f"{self.group}, {len(self.weight)}, eps={self.eps}"
