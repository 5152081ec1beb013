"""Sources that may not be divided between training and test: one sky field, or one image.

Legend: N sources.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from equirgz.data.exact import match_copies
from equirgz.data.imageset import ImageSet
from equirgz.data.leaks import LEAK_RADIUS_ARCSEC
from equirgz.data.position import match_positions


def find_fields(images: ImageSet) -> np.ndarray:
    """Return field_N, a number per source: equal for sources within 270 arcsec, or with the same pixels.

    Both relations are followed from source to source. Those are the criteria by which
    :func:`equirgz.data.leaks.refuse_leaks` finds test sources in other sets.
    """
    copies = match_copies(images)
    i, j = copies.i, copies.j
    if images.position_deg_N2 is not None:
        near_i, near_j, _ = match_positions(images.position_deg_N2, images.position_deg_N2, LEAK_RADIUS_ARCSEC)
        i, j = np.concatenate([i, near_i]), np.concatenate([j, near_j])
    graph = coo_matrix((np.ones(len(i), np.int8), (i, j)), shape=(len(images), len(images)))
    return connected_components(graph, directed=False)[1]


def keep_together(pieces: Sequence[np.ndarray], field_N: np.ndarray, label_N: np.ndarray) -> list[np.ndarray]:
    """Return the ``pieces`` (arrays of indices) with sources swapped until no field is divided between them.

    A field gathers in the first piece that holds one of its sources. For each source that moves there, the
    last one of that piece with its label and a field of its own goes back, so that every piece keeps its
    size and its classes; where the piece has none left, it grows. Pieces that divide no field come back as
    they are.
    """
    pieces = [np.array(piece) for piece in pieces]
    alone_N = np.bincount(field_N)[field_N] == 1
    home: dict[int, int] = {}
    for p, piece in enumerate(pieces):
        for source in piece[~alone_N[piece]]:
            first = home.setdefault(int(field_N[source]), p)
            if first != p:
                _swap(pieces, int(source), p, first, alone_N, label_N)
    return pieces


def _swap(pieces: list[np.ndarray], source: int, p: int, home: int, alone_N: np.ndarray, label_N: np.ndarray) -> None:
    here, there = pieces[p], pieces[home]
    partners = np.flatnonzero(alone_N[there] & (label_N[there] == label_N[source]))
    if len(partners):
        back = there[partners[-1]]
        pieces[home] = np.where(there == back, source, there)
        pieces[p] = np.where(here == source, back, here)
    else:
        pieces[home] = np.append(there, source)
        pieces[p] = here[here != source]
