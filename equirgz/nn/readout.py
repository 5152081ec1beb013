"""From equivariant maps to invariant features, and the disk mask."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equirgz.errors import InputError
from equirgz.geometry.action import disk_mask
from equirgz.geometry.field_type import FieldType
from equirgz.nn.derived import DerivedBuffers
from equirgz.nn.pooling import GroupPooling


class InvariantReadout(nn.Module):
    """Pool over the group, then over space: h_f = pool_p max_g f(p, g), invariant under G.

    ``space`` is "mean", "max" or "mean_max" (both, concatenated). The order matters: pooling the
    group and then flattening is not invariant (relative error 1.1 at 90 degrees).
    Shape: (B, in_type.size, H, W) -> (B, F) or (B, 2 F), with F fields.
    """

    def __init__(self, in_type: FieldType, space: str = "mean", group_pool: str = "max") -> None:
        super().__init__()
        if space not in ("mean", "max", "mean_max"):
            raise InputError("readout", expected="'mean', 'max' or 'mean_max'", got=repr(space))
        self.in_type, self.space = in_type, space
        self.group_pooling = GroupPooling(in_type, group_pool)

    @property
    def features_per_field(self) -> int:
        return 2 if self.space == "mean_max" else 1

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BFHW = self.group_pooling(x_BCHW)
        if self.space == "mean":
            return x_BFHW.mean((-2, -1))
        if self.space == "max":
            return x_BFHW.amax((-2, -1))
        return torch.cat([x_BFHW.mean((-2, -1)), x_BFHW.amax((-2, -1))], 1)

    def extra_repr(self) -> str:
        return f"space={self.space}"


class FixedMask(DerivedBuffers):
    """Multiply images by one ``size`` x ``size`` mask, ``exact_mask``; the base of all mask layers.

    Shape: (B, C, size, size) -> the same, of any fields. Raises InputError for another size.
    """

    keeps_fields = True

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def exact_mask(self) -> Tensor:
        """Return the mask (size, size) in float64."""
        raise NotImplementedError

    def exact_buffers(self) -> dict[str, Tensor]:
        """Return the mask."""
        return {"mask_HW": self.exact_mask()}

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if not torch.jit.is_tracing() and tuple(x_BCHW.shape[-2:]) != (self.size, self.size):
            expected = f"{self.size} x {self.size} pixels"
            raise InputError("disk mask", expected=expected, got=tuple(x_BCHW.shape[-2:]))
        return x_BCHW * self.mask_HW


class DiskMask(FixedMask):
    """Zero everything further than (size - 1) / 2 - margin pixels from the centre."""

    def __init__(self, size: int, margin_px: float = 0.0) -> None:
        super().__init__(size)
        self.margin_px = margin_px
        self.register_derived()

    def exact_mask(self) -> Tensor:
        """Return 1 inside the disk and 0 outside."""
        return disk_mask(self.size, self.margin_px).double()

    def extra_repr(self) -> str:
        return f"size={self.size}, margin_px={self.margin_px}"
