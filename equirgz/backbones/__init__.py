"""Backbones behind one interface: create them by name, save them, load them, compare their cost."""

from equirgz.backbones.base import BACKBONES, Backbone
from equirgz.backbones.cost import measure_cost
from equirgz.backbones.create import create_backbone, list_backbones

__all__ = ["BACKBONES", "Backbone", "create_backbone", "list_backbones", "measure_cost"]
