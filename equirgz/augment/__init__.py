"""Augmentations: batched on the device, one draw per sample, one interpolation per view.

    augmentation = create_augmentation("rotation_flips")
    view_BCHW = augmentation(x_BCHW, generator)

Names: :func:`list_augmentations`. Options are keywords of the name; unknown ones are errors.
"""

from __future__ import annotations

from typing import Any

from equirgz.augment.base import AUGMENTATIONS, Augmentation

__all__ = ["AUGMENTATIONS", "Augmentation", "create_augmentation", "list_augmentations"]


def create_augmentation(name: str, **params: Any) -> Augmentation:
    """Return the augmentation registered under ``name`` with its options overlaid by ``params``.

    Raises InputError for an unknown name or keyword (with the nearest valid one) and for a value
    out of range.

    >>> create_augmentation("rotation", max_angle_deg=30.0).name
    'rotation'
    """
    return AUGMENTATIONS.create(name, **params)


def list_augmentations(pattern: str = "*") -> list[str]:
    """Return the sorted names of all augmentations that match a shell-style ``pattern``."""
    return AUGMENTATIONS.names(pattern)
