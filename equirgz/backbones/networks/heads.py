"""From the last maps to features: the invariant read-out, or the flattened one of published networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equirgz.errors import check_choice
from equirgz.geometry.field_type import FieldType
from equirgz.nn import GroupPooling, InvariantReadout

HEADS = ("invariant", "flatten")


class FlattenHead(nn.Module):
    """The published read-out: flatten the group-pooled maps, then fully connected layers with ReLU.

    NOT invariant under turns, whatever the maps are; kept to reproduce published networks.
    Shape: (B, in_type.size, H, W) -> (B, hidden[-1]).
    """

    def __init__(self, in_type: FieldType, map_size: int, hidden: tuple[int, ...] = (120, 84)) -> None:
        super().__init__()
        self.in_type = in_type
        self.group_pooling = GroupPooling(in_type)
        lengths = (in_type.count * map_size**2, *hidden)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(lengths, lengths[1:], strict=False))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        h_BF = self.group_pooling(x_BCHW).flatten(1)
        for layer in self.layers:
            h_BF = torch.relu(layer(h_BF))
        return h_BF


def make_head(name: str, head: str, in_type: FieldType, map_size: int, readout: str) -> tuple[nn.Module, int]:
    """Return the head called ``head`` ("invariant" or "flatten") of backbone ``name``, and its number of features.

    ``map_size``: side of the maps in pixels; ``readout``: of :class:`equirgz.nn.InvariantReadout`.
    """
    if check_choice(f"{name} head", head, HEADS) == "flatten":
        flatten = FlattenHead(in_type, map_size)
        return flatten, flatten.layers[-1].out_features
    invariant = InvariantReadout(in_type, readout)
    return invariant, invariant.num_features
