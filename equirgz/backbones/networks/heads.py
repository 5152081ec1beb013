"""Read-outs of published networks; the invariant one is :class:`equirgz.nn.InvariantReadout`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equirgz.geometry.group import Group
from equirgz.nn import GroupPooling


class FlattenHead(nn.Module):
    """The published read-out: flatten the group-pooled maps, then fully connected layers with ReLU.

    NOT invariant under turns, whatever the maps are; kept to reproduce published networks.
    Shape: (B, F * |G|, H, W) -> (B, hidden[-1]).
    """

    def __init__(self, group: Group, fields: int, map_size: int, hidden: tuple[int, ...] = (120, 84)) -> None:
        super().__init__()
        self.group_pooling = GroupPooling(group)
        lengths = (fields * map_size**2, *hidden)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(lengths, lengths[1:], strict=False))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        h_BF = self.group_pooling(x_BCHW).flatten(1)
        for layer in self.layers:
            h_BF = torch.relu(layer(h_BF))
        return h_BF
