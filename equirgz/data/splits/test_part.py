"""A test part for sets that were published without one."""

from __future__ import annotations

import numpy as np

from equirgz.data.imageset import Data, ImageSet
from equirgz.data.overlap.groups import GROUP, divide
from equirgz.data.splits.labelled import stratified_order
from equirgz.errors import require


def split_off_test(images: ImageSet, test_fraction: float, seed: int) -> Data:
    """Return train and test parts of a set without a published split: one stratified order, last part tests.

    One's own images that show one source lie in one part (:func:`equirgz.data.overlap.groups.divide`).
    """
    require(0 <= test_fraction < 1, "test_fraction", expected="0 <= fraction < 1", got=test_fraction)
    order = stratified_order(images.label_N, seed)
    n_train = len(order) - round(test_fraction * len(order))
    if n_train == len(order):
        return Data(images.subset(np.arange(n_train), name=f"{images.name}/train"), {})
    pieces = [order[:n_train], order[n_train:]]
    if GROUP in images.table:
        pieces = divide(images, pieces, what="test_fraction")
    train, test = (
        images.subset(np.sort(piece), name=f"{images.name}/{part}")
        for piece, part in zip(pieces, ("train", "test"), strict=True)
    )
    return Data(train, {"test": test})
