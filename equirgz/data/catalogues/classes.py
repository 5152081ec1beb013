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


def relabel(images: ImageSet, new_label: dict[int, int], class_names: tuple[str, ...]) -> ImageSet:
    """Return the sources whose label is a key of ``new_label``, with the new labels and class names."""
    subset = images.subset(np.isin(images.label_N, list(new_label)))
    label_N = np.array([new_label[int(k)] for k in subset.label_N], dtype=np.int64)
    recipe = subset.recipe and f"{subset.recipe}{sorted(new_label.items())}"
    return replace(subset, label_N=label_N, class_names=class_names, recipe=recipe)


def keep_classes(images: ImageSet, classes: tuple[str, ...]) -> ImageSet:
    """Return the sources of some classes, labelled in the order in which the classes are given."""
    unknown = [name for name in classes if name not in images.class_names]
    if unknown or not classes:
        raise InputError(f"{images.name}: classes", expected=f"some of {images.class_names}", got=classes)
    return relabel(images, {images.class_names.index(name): k for k, name in enumerate(classes)}, tuple(classes))
