"""From coarse equivariant maps back to fine ones: exact upsampling, skip connections, heads for every pixel.

Stride 2 takes n = 2m - 1 pixels to m, and keeps the central one; :class:`UpsampleOdd2d` goes back, m to
2m - 1, with the coarse pixels in their places. Both commute with the group on the lattice exactly.
Legend: B batch, C channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType, check_same_group
from equirgz.nn.derived import DerivedBuffers
from equirgz.nn.factory import make_activation, make_conv, make_norm
from equirgz.nn.pooling import GroupPooling


class UpsampleOdd2d(DerivedBuffers):
    """Bilinear interpolation from n to 2n - 1 pixels: y(2p) = x(p), and means of neighbours in between.

    Shape: (B, in_type.size, H, W) -> (B, in_type.size, 2H - 1, 2W - 1). Linear, so NaN spreads.
    """

    def __init__(self, in_type: FieldType) -> None:
        super().__init__()
        self.in_type = self.out_type = in_type
        self.register_derived()

    def exact_buffers(self) -> dict[str, Tensor]:
        """Return what one coarse pixel becomes: the filter of the transposed convolution that this layer is."""
        line = torch.tensor([0.5, 1.0, 0.5], dtype=torch.float64)
        return {"kernel_HW": line[:, None] * line}

    def forward(self, x_BCHW: Tensor) -> Tensor:
        size = [2 * side - 1 for side in x_BCHW.shape[-2:]]
        return F.interpolate(x_BCHW, size=size, mode="bilinear", align_corners=True)

    def to_plain(self) -> nn.ConvTranspose2d:
        """Return the ordinary transposed convolution with the same outputs."""
        channels = self.in_type.size
        plain = nn.ConvTranspose2d(channels, channels, 3, 2, padding=1, groups=channels, bias=False)
        plain.to(self.kernel_HW).weight.data.copy_(self.kernel_HW.expand_as(plain.weight))
        return plain

    def extra_repr(self) -> str:
        return str(self.in_type)


class SkipConcat(nn.Module):
    """Put the fields of several maps of one size side by side: ``out_type`` is the sum of ``in_types``.

    Shapes: (B, size of each type, H, W) ... -> (B, out_type.size, H, W). Raises InputError for types of two
    groups when built, and for maps of two sizes.
    """

    def __init__(self, *in_types: FieldType) -> None:
        super().__init__()
        check_same_group("skip connection", *in_types)
        self.in_types = in_types
        self.out_type = FieldType(in_types[0].group, " + ".join(t.fields for t in in_types))

    def forward(self, *maps: Tensor) -> Tensor:
        if not torch.jit.is_tracing() and len({tuple(x.shape[-2:]) for x in maps}) > 1:
            got = ", ".join(f"{x.shape[-2]} x {x.shape[-1]}" for x in maps)
            mend = "upsample the coarser one from n to 2n - 1; image sizes of 1 mod 2^k fit"
            raise InputError("skip connection", expected="maps of one size", got=got, mend=mend)
        return torch.cat(maps, 1)


class UpBlock(nn.Module):
    """One step of a decoder: upsample, put the skipped fields beside, convolve, normalise, bend.

    Shapes: (B, in_type.size, H, W), (B, skip_type.size, 2H - 1, 2W - 1) -> (B, out_type.size, 2H - 1, 2W - 1).
    ``skip_type=None``: no skip connection. Equivariant as its convolution.
    """

    def __init__(
        self,
        in_type: FieldType,
        skip_type: FieldType | None,
        out_type: FieldType,
        kernel_size: int = 3,
        basis: str | None = None,
        activation: str = "relu",
        norm: str = "batch",
    ) -> None:
        super().__init__()
        self.in_type, self.skip_type, self.out_type = in_type, skip_type, out_type
        self.upsample = UpsampleOdd2d(in_type)
        self.concat = SkipConcat(in_type, *([] if skip_type is None else [skip_type]))
        self.conv = make_conv(self.concat.out_type, out_type, kernel_size, basis=basis)
        self.norm = make_norm(out_type, norm)
        self.activation = make_activation(out_type, activation)

    def forward(self, x_BCHW: Tensor, skip_BCHW: Tensor | None = None) -> Tensor:
        if (skip_BCHW is None) != (self.skip_type is None):
            expected = "no skipped maps" if self.skip_type is None else f"skipped maps of {self.skip_type}"
            got = "none" if skip_BCHW is None else tuple(skip_BCHW.shape)
            raise InputError("UpBlock", expected=expected, got=got)
        maps = [self.upsample(x_BCHW)] + ([] if skip_BCHW is None else [skip_BCHW])
        return self.activation(self.norm(self.conv(self.concat(*maps))))


class InvariantHead2d(nn.Module):
    """Numbers for every pixel that only move when the image turns: pool over the group, then mix fields.

    Shape: (B, in_type.size, H, W) -> (B, channels, H, W), trivial fields: logits of a mask, a denoised image.
    """

    def __init__(self, in_type: FieldType, channels: int) -> None:
        super().__init__()
        self.in_type, self.out_type = in_type, FieldType.trivial(in_type.group, channels)
        self.pool = GroupPooling(in_type)
        self.mix = nn.Conv2d(self.pool.out_type.size, channels, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.mix(self.pool(x_BCHW))


class EquivariantHead2d(nn.Module):
    """Fields for every pixel that turn with the image, such as "vector": a linear map of each position alone.

    Shape: (B, in_type.size, H, W) -> (B, out_type.size, H, W). Raises InputError where no filter leads from
    ``in_type`` to ``out_type``: 1x1 ones turn no trivial field into a vector; ``kernel_size=3`` does.
    """

    def __init__(self, in_type: FieldType, out_type: FieldType, kernel_size: int = 1, basis: str | None = None) -> None:
        super().__init__()
        self.in_type, self.out_type = in_type, out_type
        self.conv = make_conv(in_type, out_type, kernel_size, bias=True, basis=basis)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.conv(x_BCHW)
