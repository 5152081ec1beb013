"""Steerable layers in plain PyTorch: tensors in, tensors out.

A stack of F regular fields of a group G is a tensor with ``F * |G|`` channels, field-major: channel
``f * |G| + g`` holds field f at group element g (order: :mod:`equirgz.geometry.group`). A trivial
field is one channel that a group element only turns in space.
"""

from equirgz.nn.conv.group import GroupConv2d, make_conv
from equirgz.nn.dropout import FieldDropout
from equirgz.nn.gates import AttentionGate
from equirgz.nn.norm import FieldBatchNorm2d, FieldLayerNorm2d, make_norm
from equirgz.nn.pooling import AntialiasedAvgPool2d, AntialiasedMaxPool2d, GroupPooling
from equirgz.nn.readout import DiskMask, InvariantReadout
from equirgz.nn.self_attention import GroupSelfAttention, estimate_attention_bytes

__all__ = [
    "AntialiasedAvgPool2d",
    "AntialiasedMaxPool2d",
    "AttentionGate",
    "DiskMask",
    "FieldBatchNorm2d",
    "FieldDropout",
    "FieldLayerNorm2d",
    "GroupConv2d",
    "GroupPooling",
    "GroupSelfAttention",
    "InvariantReadout",
    "estimate_attention_bytes",
    "make_conv",
    "make_norm",
]
