"""Attention gates on invariant maps (arXiv 1804.05338, 2012.01248; equivariant: 2111.04742)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType, check_kinds, check_same_group


class AttentionGate(nn.Module):
    r"""Weight feature maps by their compatibility with a coarser gating signal.

        q(p) = psi . relu(theta x(p) + up(phi g)(p)) + b,      alpha = normalise(q),      y = alpha x

    ``up`` is bilinear with aligned corners, which commutes with quarter turns on every grid. All
    maps are 1x1 products over trivial fields, so the gate is as equivariant as its inputs. The
    normalisation works on ONE image at a time: "range" (default; (q - min) / (max - min)),
    "sigmoid" or "softmax" over the pixels.

    Shapes: x (B, C, H, W), gating (B, D, H', W') -> y (B, C, H, W), alpha (B, 1, H, W).
    Raises InputError unless both types are trivial fields of one group.
    """

    def __init__(self, in_type: FieldType, gating_type: FieldType, hidden: int = 64, normalise: str = "range") -> None:
        super().__init__()
        check_same_group("gate", in_type, gating_type)
        check_kinds("gate input", in_type, "trivial")
        check_kinds("gating signal", gating_type, "trivial")
        self.in_type = self.out_type = in_type
        self.gating_type = gating_type
        channels, gating_channels = in_type.size, gating_type.size
        if normalise not in ("range", "sigmoid", "softmax"):
            raise InputError("gate", expected="'range', 'sigmoid' or 'softmax'", got=repr(normalise))
        self.normalise = normalise
        self.theta = nn.Conv2d(channels, hidden, 1, bias=False)
        self.phi = nn.Conv2d(gating_channels, hidden, 1)
        self.psi = nn.Conv2d(hidden, 1, 1, bias=normalise == "sigmoid")

    def attention(self, x_BCHW: Tensor, gating_BDHW: Tensor) -> Tensor:
        """Return the map alpha (B, 1, H, W)."""
        lifted = F.interpolate(self.phi(gating_BDHW), size=x_BCHW.shape[-2:], mode="bilinear", align_corners=True)
        q_B1HW = self.psi(torch.relu(self.theta(x_BCHW) + lifted))
        if self.normalise == "sigmoid":
            return torch.sigmoid(q_B1HW)
        if self.normalise == "softmax":
            return torch.softmax(q_B1HW.flatten(1), 1).reshape(q_B1HW.shape)
        low = q_B1HW.amin((1, 2, 3), keepdim=True)
        high = q_B1HW.amax((1, 2, 3), keepdim=True)
        return (q_B1HW - low) / (high - low).clamp(min=torch.finfo(q_B1HW.dtype).eps)

    def forward(self, x_BCHW: Tensor, gating_BDHW: Tensor) -> tuple[Tensor, Tensor]:
        alpha_B1HW = self.attention(x_BCHW, gating_BDHW)
        return alpha_B1HW * x_BCHW, alpha_B1HW

    def extra_repr(self) -> str:
        return f"normalise={self.normalise}"
