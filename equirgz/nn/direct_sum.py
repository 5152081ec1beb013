"""Layers side by side and one after the other, with their types checked when they are built."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from equirgz.errors import InputError
from equirgz.geometry.field_type import FieldType, check_field_type


class DirectSum(nn.Module):
    """Each layer acts on its own fields: y = (layer_1(x_1), layer_2(x_2), ...), for x = (x_1, x_2, ...).

    Shape: (B, sum of the layers' ``in_type`` sizes, H, W) -> (B, sum of their ``out_type`` sizes, H', W').
    """

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.in_type = _sum([layer.in_type for layer in self.layers])
        self.out_type = _sum([layer.out_type for layer in self.layers])
        self._sizes = [layer.in_type.size for layer in self.layers]

    def forward(self, x_BCHW: Tensor) -> Tensor:
        parts = x_BCHW.split(self._sizes, 1)
        return torch.cat([layer(part) for layer, part in zip(self.layers, parts, strict=True)], 1)


def _sum(types: list[FieldType]) -> FieldType:
    total = types[0]
    for other in types[1:]:
        total = total + other
    return total


def per_kind(in_type: FieldType, make: Callable[[FieldType], nn.Module]) -> nn.Module:
    """Return ``make(in_type)`` for fields of one kind, else the direct sum of a layer for each kind."""
    if len(in_type.parts) == 1:
        return make(in_type)
    return DirectSum(make(part.type) for part in in_type.parts)


class FieldSequential(nn.Sequential):
    """``nn.Sequential`` that checks, when it is built, that each layer takes what the one before gives.

    A layer without ``in_type`` (ReLU, max-pooling, masks) must work on single numbers of a channel: it stands
    where every element permutes the channels, and keeps the type. Raises InputError that names both types.
    """

    def __init__(self, *layers: nn.Module | OrderedDict[str, nn.Module]) -> None:
        super().__init__(*layers)
        self.in_type: FieldType | None = None
        self.out_type: FieldType | None = None
        for position, layer in enumerate(self):
            taken, given = getattr(layer, "in_type", None), getattr(layer, "out_type", None)
            what = f"layer {position} ({type(layer).__name__})"
            if taken is not None:
                if self.out_type is not None:
                    check_field_type(what, taken, self.out_type)
                self.in_type = self.in_type or taken
                self.out_type = given
            elif self.out_type is not None and not self.out_type.permutes and not getattr(layer, "keeps_fields", False):
                expected = "a layer for fields whose channels mix, such as make_activation gives"
                got = f"one of single numbers, after {self.out_type}"
                raise InputError(what, expected=expected, got=got)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return what the layers give one after the other; a pooling that can takes a ReLU before it into its pass."""
        layers = [*self]
        rectify = False
        for layer, following in zip(layers, [*layers[1:], None], strict=True):
            if type(layer) is nn.ReLU and getattr(following, "takes_relu", False) and not _is_watched(layer):
                rectify = True
                continue
            x_BCHW = layer(x_BCHW, rectify=True) if rectify else layer(x_BCHW)
            rectify = False
        return x_BCHW


def _is_watched(layer: nn.Module) -> bool:
    """Return whether somebody hooked on to what the layer takes or gives."""
    hooks = (layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks, layer._backward_pre_hooks)
    return any(hooks) or torch.jit.is_tracing() or torch.compiler.is_compiling()
