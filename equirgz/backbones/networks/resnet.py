"""Residual networks: the radio ResNet-18 (arXiv 1512.03385, 2305.16127) and its steerable form."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from equirgz.backbones.arguments import check_width, scaled_fields
from equirgz.backbones.base import BACKBONES, Backbone
from equirgz.backbones.networks.heads import HEADS, make_head
from equirgz.errors import check_choice
from equirgz.geometry.field_type import FieldType
from equirgz.geometry.group import Group, get_group
from equirgz.nn import FieldSequential, make_conv, make_norm
from equirgz.registry import explained_by


class BasicBlock(nn.Module):
    """y = relu(norm(conv(relu(norm(conv x)))) + shortcut x), 3x3; the shortcut is 1x1 where shapes change.

    Shape: (B, in_type.size, H, W) -> (B, out_type.size, H', W').
    """

    def __init__(self, in_type: FieldType, out_type: FieldType, stride: int, basis: str | None) -> None:
        super().__init__()
        self.in_type, self.out_type = in_type, out_type
        self.conv1 = make_conv(in_type, out_type, 3, stride=stride, basis=basis)
        self.norm1 = make_norm(out_type)
        self.conv2 = make_conv(out_type, out_type, 3, basis=basis)
        self.norm2 = make_norm(out_type)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_type != out_type:
            self.shortcut = FieldSequential(
                make_conv(in_type, out_type, 1, stride=stride, basis=basis), make_norm(out_type)
            )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BCHW = torch.relu(self.norm1(self.conv1(x_BCHW)))
        return torch.relu(self.norm2(self.conv2(y_BCHW)) + self.shortcut(x_BCHW))


class ResNet(Backbone):
    """3x3 stem of stride 1, max-pool 3 of stride 2, four stages of two blocks with strides 1, 2, 2, 2.

    Four stages of stride 2 in all (the pool included): exact sizes are 1 mod 16.

    Parameters
    ----------
    head : "invariant", or "flatten", which is not.
    readout : "mean", "max", "mean_max", "spectrum" or "max_filter" (:class:`equirgz.nn.InvariantReadout`).
    basis : "harmonic" or "pixel"; None: pixel for C1, harmonic otherwise.
    """

    def __init__(
        self,
        name: str,
        group: Group,
        in_channels: int,
        image_size: int,
        fields: tuple[int, ...],
        head: str,
        readout: str,
        basis: str | None,
    ) -> None:
        super().__init__(group, in_channels, image_size)
        self.is_invariant = check_choice(f"{name} head", head, HEADS) == "invariant"
        self.check_size(name, 4, 17)
        in_type, previous = FieldType.trivial(group, self.in_channels), FieldType.regular(group, fields[0])
        self.stem = FieldSequential(
            make_conv(in_type, previous, 3, basis=basis), make_norm(previous), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        self.residual = nn.ModuleList()
        for count, stride in zip(fields, (1, 2, 2, 2), strict=True):
            out_type = FieldType.regular(group, count)
            for block_stride in (stride, 1):
                self.residual.append(BasicBlock(previous, out_type, block_stride, basis))
                previous = out_type
            self.add_level(f"residual.{len(self.residual) - 1}", out_type, 2 ** (len(self.residual) // 2))
        map_size = self.image_size
        for _ in range(4):
            map_size = (map_size - 1) // 2 + 1
        self.head, self.num_features = make_head(name, head, previous, map_size, readout)

    def stage_maps(self, x_BCHW: Tensor) -> list[Tensor]:
        x_BCHW, maps = self.stem(x_BCHW), []
        for block in self.residual:
            x_BCHW = block(x_BCHW)
            maps.append(x_BCHW)
        return maps[1::2]

    def maps(self, x_BCHW: Tensor) -> Tensor:
        return self.stage_maps(x_BCHW)[-1]

    def read_out(self, maps_BCHW: Tensor) -> Tensor:
        return self.head(maps_BCHW)

    def blocks(self) -> list[nn.Module]:
        own = [self.head] if any(True for _ in self.head.parameters()) else []
        return [self.stem, *self.residual, *own]


@BACKBONES.register("resnet18")
def resnet18(in_channels: int = 1, image_size: int = 65, width: float = 1.0) -> Backbone:
    """ResNet-18 of the radio foundation model (arXiv 2305.16127): 1 channel, 3x3 stem, 512 features.

    11 167 680 parameters at width 1.
    """
    fields = scaled_fields((64, 128, 256, 512), width)
    return ResNet("resnet18", get_group("C1"), in_channels, image_size, fields, "invariant", "mean", None)


@BACKBONES.register("steerable_resnet18")
@explained_by(ResNet)
def steerable_resnet18(
    group: str = "D4",
    in_channels: int = 1,
    image_size: int = 65,
    width: float = 1.0,
    head: str = "invariant",
    readout: str = "mean",
    basis: str | None = None,
) -> Backbone:
    """ResNet-18 over regular fields of C_N or D_N; 64, 128, 256, 512 divided by sqrt |G|, so that the
    number of pairs (input field, output field, group element) is the plain network's."""
    symmetry = get_group(group)
    fields = scaled_fields((64, 128, 256, 512), check_width(width) / math.sqrt(symmetry.order))
    return ResNet("steerable_resnet18", symmetry, in_channels, image_size, fields, head, readout, basis)
