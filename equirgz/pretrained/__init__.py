"""Encoders inside the package: weights, what they were trained on, and a card that says how good they are."""

from equirgz.pretrained.files import list_pretrained, read_card

__all__ = ["list_pretrained", "read_card"]
