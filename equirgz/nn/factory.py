"""The layer that fits a type: torch's own for C1, a fast one for one kind of field, else a direct sum."""

from __future__ import annotations

from torch import nn

from equirgz.errors import check_choice
from equirgz.geometry.field_type import FieldType
from equirgz.nn.activation import LengthReLU
from equirgz.nn.conv.field import FieldConv2d
from equirgz.nn.conv.group import GroupConv2d
from equirgz.nn.conv.trivial import TrivialConv2d
from equirgz.nn.direct_sum import per_kind
from equirgz.nn.filters.basis import FilterBasis
from equirgz.nn.norm import (
    FieldBatchNorm2d,
    FieldGroupNorm2d,
    FieldLayerNorm2d,
    LengthBatchNorm2d,
    LengthLayerNorm2d,
)

_ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "elu": nn.ELU}


def make_conv(
    in_type: FieldType,
    out_type: FieldType,
    kernel_size: int,
    *,
    stride: int = 1,
    padding: int | None = None,
    bias: bool = False,
    basis: str | None = None,
) -> nn.Module:
    """Return the convolution between two types: GroupConv2d to regular fields, TrivialConv2d to trivial ones,
    FieldConv2d else, and for trivial fields of C1 the ordinary ``torch.nn.Conv2d`` that they equal.

    ``basis=None`` means "pixel" for C1 and "harmonic" for every other group; C1 with
    ``basis="harmonic"`` is the band-limited control without symmetry.
    """
    plain = in_type.is_regular or in_type.is_trivial
    if plain and out_type.is_regular and in_type.group == out_type.group:
        if in_type.group.order == 1 and basis in (None, "pixel"):
            return _make_ordinary(in_type, out_type, kernel_size, stride, padding, bias)
        kind = GroupConv2d
    elif plain and out_type.is_trivial:
        kind = TrivialConv2d
    else:
        kind = FieldConv2d
    basis = basis or ("pixel" if in_type.group.order == 1 else "harmonic")
    return kind(in_type, out_type, kernel_size, stride=stride, padding=padding, bias=bias, basis=basis)


def _make_ordinary(
    in_type: FieldType, out_type: FieldType, kernel_size: int, stride: int, padding: int | None, bias: bool
) -> nn.Conv2d:
    padding = FilterBasis(kernel_size, "pixel").kernel_size // 2 if padding is None else padding
    conv = nn.Conv2d(in_type.size, out_type.size, kernel_size, stride, padding, bias=bias)
    nn.init.kaiming_normal_(conv.weight, mode="fan_in", nonlinearity="relu")
    if bias:
        nn.init.zeros_(conv.bias)
    conv.in_type, conv.out_type = in_type, out_type
    return conv


NORMS = ("batch", "group", "layer")


def make_norm(in_type: FieldType, kind: str = "batch") -> nn.Module:
    """Return the norm of a type: "batch" has statistics per field, and is the ordinary BatchNorm2d for C1's trivial
    fields; "group" has those of each image (:class:`equirgz.nn.FieldGroupNorm2d`), of lengths where channels mix the
    norm of single positions, and "layer" those of single positions (:func:`make_layer_norm`)."""
    if check_choice("norm", kind, NORMS) == "layer":
        return make_layer_norm(in_type)
    if kind == "group":
        return per_kind(in_type, lambda part: FieldGroupNorm2d(part) if part.permutes else LengthLayerNorm2d(part))

    def make(part: FieldType) -> nn.Module:
        if not part.permutes:
            return LengthBatchNorm2d(part)
        if part.group.order > 1:
            return FieldBatchNorm2d(part)
        norm = nn.BatchNorm2d(part.size)
        norm.in_type = norm.out_type = part
        return norm

    return per_kind(in_type, make)


def make_layer_norm(in_type: FieldType) -> nn.Module:
    """Return the norm of single positions: FieldLayerNorm2d for one kind of fields whose channels are permuted,
    :class:`equirgz.nn.LengthLayerNorm2d` for all others."""
    one_kind = in_type.permutes and len(in_type.parts) == 1
    return FieldLayerNorm2d(in_type) if one_kind else LengthLayerNorm2d(in_type)


def make_activation(in_type: FieldType, kind: str = "relu") -> nn.Module:
    """Return a nonlinearity: ``kind`` ("relu", "gelu", "silu", "elu") of single numbers where channels are
    permuted, :class:`equirgz.nn.LengthReLU` for fields whose channels mix."""
    check_choice("activation", kind, _ACTIVATIONS)
    if in_type.permutes:
        return _ACTIVATIONS[kind]()

    def make(part: FieldType) -> nn.Module:
        if not part.permutes:
            return LengthReLU(part)
        layer = _ACTIVATIONS[kind]()
        layer.in_type = layer.out_type = part
        return layer

    return per_kind(in_type, make)
