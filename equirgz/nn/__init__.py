"""Steerable layers in plain PyTorch: tensors in, tensors out.

What the channels of a tensor are is told by its type, :class:`equirgz.geometry.field_type.FieldType`: layers
are built with the types that they take and give, ``in_type`` and ``out_type``. F regular fields of a group G
are F * |G| channels, field-major: channel ``f * |G| + g`` holds field f at group element g (order:
:mod:`equirgz.geometry.group`). A trivial field is one channel that a group element only turns in space.

A layer of ours that has an ordinary twin knows it, ``to_plain()``, and one that multiplies knows how often,
``multiply_adds(height, width)``.
"""

from equirgz.geometry.field_type import FieldType
from equirgz.nn.activation import LengthReLU
from equirgz.nn.attention.gates import AttentionGate
from equirgz.nn.attention.joint import GroupSelfAttention, estimate_attention_bytes
from equirgz.nn.attention.positions import PositionSelfAttention, estimate_position_bytes
from equirgz.nn.conv.depthwise import DepthwiseConv2d, make_depthwise_conv
from equirgz.nn.conv.field import FieldConv2d
from equirgz.nn.conv.group import GroupConv2d
from equirgz.nn.conv.pointwise import PointwiseConv2d, PointwiseMLP, make_pointwise_conv
from equirgz.nn.conv.trivial import TrivialConv2d
from equirgz.nn.decoder import EquivariantHead2d, InvariantHead2d, SkipConcat, UpBlock, UpsampleOdd2d
from equirgz.nn.direct_sum import DirectSum, FieldSequential, per_kind
from equirgz.nn.dropout import FieldDropout
from equirgz.nn.factory import make_activation, make_conv, make_layer_norm, make_norm
from equirgz.nn.modulation import FieldModulation, NoiseEmbedding
from equirgz.nn.norm import FieldBatchNorm2d, FieldGroupNorm2d, FieldLayerNorm2d, LengthBatchNorm2d, LengthLayerNorm2d
from equirgz.nn.pooling import AntialiasedAvgPool2d, AntialiasedMaxPool2d, GroupPooling
from equirgz.nn.readout import READOUTS, DiskMask, InvariantReadout
from equirgz.nn.spectrum import PowerSpectrum
from equirgz.nn.turned_copies import TurnedCopies

__all__ = [
    "AntialiasedAvgPool2d",
    "AntialiasedMaxPool2d",
    "AttentionGate",
    "DepthwiseConv2d",
    "DirectSum",
    "DiskMask",
    "EquivariantHead2d",
    "FieldBatchNorm2d",
    "FieldConv2d",
    "FieldDropout",
    "FieldGroupNorm2d",
    "FieldLayerNorm2d",
    "FieldModulation",
    "FieldSequential",
    "FieldType",
    "GroupConv2d",
    "GroupPooling",
    "GroupSelfAttention",
    "InvariantHead2d",
    "InvariantReadout",
    "LengthBatchNorm2d",
    "LengthLayerNorm2d",
    "LengthReLU",
    "NoiseEmbedding",
    "READOUTS",
    "PointwiseConv2d",
    "PointwiseMLP",
    "PositionSelfAttention",
    "PowerSpectrum",
    "SkipConcat",
    "TrivialConv2d",
    "TurnedCopies",
    "UpBlock",
    "UpsampleOdd2d",
    "estimate_attention_bytes",
    "estimate_position_bytes",
    "make_activation",
    "make_conv",
    "make_depthwise_conv",
    "make_layer_norm",
    "make_norm",
    "make_pointwise_conv",
    "per_kind",
]
