"""Labels from one set's classes to another's. Legend: N sources."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from equirgz.data.imageset import ImageSet
from equirgz.errors import InputError


def match_classes(images: ImageSet, class_names: tuple[str, ...]) -> ImageSet:
    """Return a set with the labels of another one, matched by class name (case is ignored).

    Sources whose class the other set does not have get the label -1. Raises InputError when the two
    sets have no class in common.
    """
    place = {name.lower(): k for k, name in enumerate(class_names)}
    new_label = np.array([*(place.get(name.lower(), -1) for name in images.class_names), -1])
    if images.class_names and (new_label < 0).all():
        raise InputError(
            f"{images.name}: expected a class of {', '.join(class_names)}, got {', '.join(images.class_names)}; "
            "choose a test set with classes in common"
        )
    return replace(images, label_N=new_label[images.label_N], class_names=tuple(class_names))
