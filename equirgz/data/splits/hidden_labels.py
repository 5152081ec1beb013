"""Labels of unlabelled sources where they happen to be known: for logs, never for a loss. Legend: M unlabelled."""

from __future__ import annotations

import numpy as np

from equirgz.data.imageset import ImageSet
from equirgz.data.overlap.exact import match_pixels
from equirgz.data.sky.position import match_positions

RADIUS_ARCSEC = 30.0


def find_hidden_labels(unlabelled: ImageSet, train: ImageSet) -> np.ndarray:
    """Return label_M: that of the nearest training source within 30 arcsec, -1 where there is none.

    Sets without positions are matched by source id, one's own (``ImageSet.own_ids``) by pixels. NaN
    positions match nothing.
    """
    label_M = np.full(len(unlabelled), -1, dtype=np.int64)
    if (unlabelled.own_ids or train.own_ids) and (unlabelled.position_deg_N2 is None or train.position_deg_N2 is None):
        pairs = match_pixels(unlabelled, train)
        label_M[pairs.i] = train.label_N[pairs.j]
        return label_M
    if unlabelled.position_deg_N2 is None or train.position_deg_N2 is None:
        label_of = dict(zip(train.source_id_N, train.label_N, strict=True))
        return np.array([label_of.get(source, -1) for source in unlabelled.source_id_N], dtype=np.int64)
    i, j, _ = match_positions(unlabelled.position_deg_N2, train.position_deg_N2, RADIUS_ARCSEC)
    nearest, first = np.unique(i, return_index=True)  # pairs are sorted by separation within i
    label_M[nearest] = train.label_N[j[first]]
    return label_M
