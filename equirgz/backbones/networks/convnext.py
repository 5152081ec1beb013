"""A steerable ConvNeXt (after arXiv 2201.03545): depthwise filters that turn, products in the irreps of the group."""

from __future__ import annotations

import math

from torch import Tensor, nn

from equirgz.backbones.arguments import check_positive, check_whole, scaled_fields
from equirgz.backbones.base import BACKBONES, Backbone
from equirgz.backbones.networks.heads import make_head
from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import Group, get_group
from equirgz.nn import (
    AntialiasedAvgPool2d,
    FieldSequential,
    PointwiseMLP,
    make_conv,
    make_depthwise_conv,
    make_norm,
    make_pointwise_conv,
)


class ConvNeXtBlock(nn.Module):
    """x + mlp(norm(filter x)): one filter per field, a norm over fields, an MLP at each position.

    Shape: (B, in_type.size, H, W) -> the same. Equivariant as :class:`equirgz.nn.DepthwiseConv2d`.
    """

    def __init__(self, in_type: FieldType, kernel_size: int, mlp_ratio: float, norm: str, basis: str | None) -> None:
        super().__init__()
        self.in_type = self.out_type = in_type
        self.filter = make_depthwise_conv(in_type, kernel_size, basis=basis)
        self.norm = make_norm(in_type, norm)
        self.mlp = PointwiseMLP(in_type, max(1, round(mlp_ratio * in_type.count)))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW + self.mlp(self.norm(self.filter(x_BCHW)))


class SteerableConvNeXt(Backbone):
    """A strided stem, stages of :class:`ConvNeXtBlock` with halvings in between, a norm, the read-out.

    The stem's stride s and k stages stand for log2 s + k - 1 halvings: exact sizes are 1 mod s 2^(k-1).
    """

    def __init__(
        self,
        name: str,
        group: Group,
        in_channels: int,
        image_size: int,
        *,
        fields: tuple[int, ...],
        depths: tuple[int, ...],
        kernel_size: int,
        mlp_ratio: float,
        stem_stride: int,
        norm: str,
        readout: str,
        basis: str | None,
    ) -> None:
        super().__init__(group, in_channels, image_size)
        mlp_ratio = check_positive(f"{name} mlp_ratio", mlp_ratio, "such as 4")
        depths = _check_depths(name, fields, depths)
        if stem_stride not in (1, 2, 4):
            raise InputError(f"{name} stem_stride", expected="1, 2 or 4", got=repr(stem_stride), mend="use 4")
        reduction = int(stem_stride)
        n_stride2 = int(math.log2(reduction)) + len(fields) - 1
        self.check_size(name, n_stride2, 2**n_stride2 + 1)
        in_type, out_type = FieldType.trivial(group, self.in_channels), FieldType.regular(group, fields[0])
        self.stem = FieldSequential(
            make_conv(in_type, out_type, 5, stride=reduction, bias=True, basis=basis), make_norm(out_type, norm)
        )
        self.stages = nn.ModuleList()
        for stage, (count, depth) in enumerate(zip(fields, depths, strict=True)):
            in_type, out_type = out_type, FieldType.regular(group, count)
            layers: list[nn.Module] = []
            if stage:
                pool = AntialiasedAvgPool2d(in_type)
                layers = [make_norm(in_type, norm), pool, make_pointwise_conv(in_type, out_type, bias=True)]
                reduction *= 2
            layers += [ConvNeXtBlock(out_type, kernel_size, mlp_ratio, norm, basis) for _ in range(depth)]
            self.stages.append(FieldSequential(*layers))
            self.add_level(f"stages.{stage}", out_type, reduction)
        self.norm = make_norm(out_type, norm)
        map_size = (self.image_size - 1) // reduction + 1
        self.head, self.num_features = make_head(name, "invariant", out_type, map_size, readout)

    def stage_maps(self, x_BCHW: Tensor) -> list[Tensor]:
        x_BCHW, maps = self.stem(x_BCHW), []
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
            maps.append(x_BCHW)
        return [*maps[:-1], self.norm(x_BCHW)]

    def maps(self, x_BCHW: Tensor) -> Tensor:
        return self.stage_maps(x_BCHW)[-1]

    def read_out(self, maps_BCHW: Tensor) -> Tensor:
        return self.head(maps_BCHW)

    def blocks(self) -> list[nn.Module]:
        own = [self.head] if any(True for _ in self.head.parameters()) else []
        return [self.stem, *self.stages, self.norm, *own]


def _check_depths(name: str, fields: tuple[int, ...], depths: tuple[int, ...]) -> tuple[int, ...]:
    """Return one number of blocks per stage; raise InputError for no stage, or another number of depths."""
    if not fields:
        raise InputError(f"{name} fields", expected="at least one stage", got="none", mend="use (8, 16, 32)")
    if not isinstance(depths, tuple | list) or len(depths) != len(fields):
        mend = "give one number of blocks per stage"
        raise InputError(f"{name} depths", expected=f"{len(fields)} numbers", got=repr(depths), mend=mend)
    return tuple(check_whole(f"{name} depths", depth) for depth in depths)


@BACKBONES.register("steerable_convnext")
def steerable_convnext(
    group: str = "D4",
    in_channels: int = 1,
    image_size: int = 65,
    width: float = 1.0,
    fields: tuple[int, ...] = (8, 16, 32),
    depths: tuple[int, ...] = (2, 2, 2),
    kernel_size: int = 7,
    mlp_ratio: float = 4.0,
    stem_stride: int = 4,
    norm: str = "group",
    readout: str = "mean",
    basis: str | None = None,
) -> Backbone:
    """ConvNeXt over regular fields, cheap by design: its cost grows with |G| and not with |G|^2.

    Depthwise filters turn with the group, and pointwise layers are block-diagonal in its irreps
    (:class:`equirgz.nn.PointwiseConv2d`; for D4, 12 of 64 multiplications). ``group="C1"`` is the plain
    ConvNeXt, and with |G| times the fields it has the same channels.

    Parameters
    ----------
    fields : regular fields of each stage; the map is halved between stages.
    depths : blocks of each stage.
    kernel_size : odd side of the depthwise filters, pixels.
    mlp_ratio : fields inside an MLP for each field outside.
    stem_stride : 1, 2 or 4; by which the 5x5 lifting convolution subsamples.
    norm : "group" (statistics of each image, so that positions keep how bright they are beside one another), "layer"
        (of each position, as published: empty sky then is as loud as the source) or "batch".
    readout : "mean", "max", "mean_max", "spectrum" or "max_filter" (:class:`equirgz.nn.InvariantReadout`).
    basis : "harmonic" or "pixel"; None: pixel for C1, harmonic otherwise.
    """
    return SteerableConvNeXt(
        "steerable_convnext",
        get_group(group),
        in_channels,
        image_size,
        fields=scaled_fields(fields, width),
        depths=depths,
        kernel_size=kernel_size,
        mlp_ratio=mlp_ratio,
        stem_stride=stem_stride,
        norm=norm,
        readout=readout,
        basis=basis,
    )
