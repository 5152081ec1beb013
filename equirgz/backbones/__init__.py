"""Backbones behind one interface: create them by name, save them, load them, compare their cost."""

from equirgz.backbones.base import BACKBONES, Backbone
from equirgz.backbones.canonical import canonicalise
from equirgz.backbones.cost import measure_cost
from equirgz.backbones.create import create_backbone, list_backbones
from equirgz.backbones.levels import FeatureInfo, FeatureMaps
from equirgz.backbones.plain import export_onnx, to_plain
from equirgz.backbones.storage import load_encoder, load_pretrained, save_encoder

__all__ = [
    "BACKBONES",
    "Backbone",
    "FeatureInfo",
    "FeatureMaps",
    "canonicalise",
    "create_backbone",
    "export_onnx",
    "list_backbones",
    "load_encoder",
    "load_pretrained",
    "measure_cost",
    "save_encoder",
    "to_plain",
]
