"""Tiny networks with a known symmetry, and one with none."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equirgz.geometry.action import turn_lattice
from equirgz.geometry.group import get_group


class ToyD4(nn.Module):
    """A lifting convolution over D4 made by turning one filter by hand; features pooled over all."""

    def __init__(self, image_size: int = 17, fields: int = 3) -> None:
        super().__init__()
        self.group = get_group("D4")
        self.image_size = image_size
        self.num_features = fields
        self.weight = nn.Parameter(torch.randn(fields, 1, 3, 3))
        self.norm = nn.BatchNorm3d(fields)

    def forward_maps(self, x_BCHW: Tensor) -> Tensor:
        filters = [turn_lattice(self.weight, g % 4, g >= 4) for g in range(8)]
        maps = torch.stack([nn.functional.conv2d(x_BCHW, f, padding=1) for f in filters], 2)
        return torch.relu(self.norm(maps))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.forward_maps(x_BCHW).mean((2, 3, 4))


class PlainConv(nn.Module):
    """An ordinary convolution that claims to be D4-invariant, and is not."""

    def __init__(self, image_size: int = 17) -> None:
        super().__init__()
        self.group = get_group("D4")
        self.image_size = image_size
        self.num_features = 8
        self.conv = nn.Conv2d(1, 8, 3, padding=1)

    def forward_maps(self, x_BCHW: Tensor) -> Tensor:
        return torch.relu(self.conv(x_BCHW))[:, None]

    def forward(self, x_BCHW: Tensor) -> Tensor:
        maps = self.conv(x_BCHW).relu()
        column_W = torch.linspace(0, 2, maps.shape[-1], dtype=maps.dtype)
        return (maps * column_W).sum((2, 3)) / maps.shape[-1]
