"""From equivariant maps to invariant features, and the disk mask."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equirgz.errors import InputError
from equirgz.geometry.action import disk_mask
from equirgz.geometry.field_type import FieldType
from equirgz.nn.autocast import float32_in_autocast
from equirgz.nn.conv.pointwise import make_pointwise_conv
from equirgz.nn.derived import DerivedBuffers
from equirgz.nn.direct_sum import FieldSequential
from equirgz.nn.pooling import GroupPooling
from equirgz.nn.spectrum import PowerSpectrum

READOUTS = ("mean", "max", "mean_max", "spectrum", "max_filter")


class InvariantReadout(nn.Module):
    """Make each position invariant, then pool over space: features that no element of the group changes.

    ``space`` names the read-out, with f the fields and p the positions:

    * "mean", "max", "mean_max" (both, concatenated):  h_f = pool_p max_g f(p, g);
    * "spectrum":    h_fk = mean_p of the power of irrep k (:class:`equirgz.nn.PowerSpectrum`), so that more
      than the largest element of each field is seen;
    * "max_filter":  h_j = mean_p max_g <t_j, g . f(p)>, with learnt templates t_j over all fields and the group,
      two for each field (max filtering, arXiv 2205.14039).

    The order matters: pooling the group and then flattening is not invariant (relative error 1.1 at 90 degrees).
    ``group_pool`` "mean" takes the mean over g for the maximum. Fields that are trivial have one element and
    are read as they are. Shape: (B, in_type.size, H, W) -> (B, num_features), num_features a multiple of F.
    Raises InputError for an unknown name, and for "spectrum" and "max_filter" of fields neither regular nor trivial.
    """

    def __init__(self, in_type: FieldType, space: str = "mean", group_pool: str = "max") -> None:
        super().__init__()
        if space not in READOUTS:
            expected = f"{', '.join(map(repr, READOUTS[:-1]))} or {READOUTS[-1]!r}"
            raise InputError("readout", expected=expected, got=repr(space), mend="use 'mean'")
        self.in_type, self.space = in_type, space
        if space == "spectrum" and not in_type.is_trivial:
            self.group_pooling: nn.Module = PowerSpectrum(in_type)
        elif space == "max_filter":
            templates = FieldType(
                in_type.group, f"{2 * in_type.count} {'trivial' if in_type.is_trivial else 'regular'}"
            )
            self.group_pooling = FieldSequential(
                make_pointwise_conv(in_type, templates), GroupPooling(templates, group_pool)
            )
        else:
            self.group_pooling = GroupPooling(in_type, group_pool)
        self.num_features = self.group_pooling.out_type.size * (2 if space == "mean_max" else 1)

    @property
    def features_per_field(self) -> int:
        """Features that each field of the maps gives."""
        return self.num_features // self.in_type.count

    @float32_in_autocast
    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BFHW = self.group_pooling(x_BCHW)
        if self.space == "max":
            return x_BFHW.amax((-2, -1))
        if self.space == "mean_max":
            return torch.cat([x_BFHW.mean((-2, -1)), x_BFHW.amax((-2, -1))], 1)
        return x_BFHW.mean((-2, -1))

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
