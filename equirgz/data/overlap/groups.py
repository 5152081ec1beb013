"""Groups of images that show one source, or one field of the sky: no split may divide them.

Legend: N images.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from equirgz.data.cache import cached_arrays
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.notes import note
from equirgz.data.overlap.exact import match_copies, match_pixels
from equirgz.data.overlap.grouping import Grouping
from equirgz.data.overlap.leaks import LEAK_RADIUS_ARCSEC
from equirgz.data.overlap.near import find_near
from equirgz.data.sky.position import match_positions
from equirgz.errors import InputError

#: columns of ``table``, equal for images of one group: by all criteria, by pixels, by likeness, by place
GROUP, PIXELS, LOOKS, PLACE = "source_group", "source_group_pixels", "source_group_looks", "source_group_place"


def own_sources(images: ImageSet, grouping: Grouping) -> ImageSet:
    """Return one's own images as such: their ids prove nothing elsewhere, and their groups are known."""
    return group_sources([replace(images, own_ids=True)], grouping)[0]


def group_sources(sets: Sequence[ImageSet], grouping: Grouping | None = None) -> list[ImageSet]:
    """Return ``sets`` with the columns ``GROUP``, ``PIXELS``, ``LOOKS`` and ``PLACE``; names count for nothing.

    Groups are those of all sets together. What pixels and likeness tell is cached by content.
    """
    ends = np.cumsum([len(images) for images in sets])
    n = int(ends[-1])
    scales = [repr(images.pixel_scale_arcsec) for images in sets]
    key = {"format": "same sources", "version": 1, "sets": [images.checksum for images in sets], "scales": scales}

    def match() -> dict[str, np.ndarray]:
        pixels_N = _join(n, _copies(sets))
        first_N = np.sort(np.unique(pixels_N, return_index=True)[1])  # copies would fill the lists of neighbours
        firsts = np.split(first_N, np.searchsorted(first_N, ends[:-1]))
        distinct = [images.subset(k - (end - len(images))) for images, k, end in zip(sets, firsts, ends, strict=True)]
        looks_N = np.empty(n, np.int64)
        looks_N[pixels_N[first_N]] = find_near(distinct)
        return {"pixels": pixels_N, "looks": looks_N[pixels_N]}

    found = cached_arrays(key, match)
    place_N = _join(n, _near_on_sky(sets, grouping or Grouping()))
    columns = {PIXELS: found["pixels"], LOOKS: found["looks"], PLACE: place_N}
    columns[GROUP] = _join(n, [_same(value_N) for value_N in columns.values()])
    out = []
    for images, end in zip(sets, ends, strict=True):
        mine = {name: value_N[end - len(images) : end] for name, value_N in columns.items()}
        out.append(replace(images, table=images.table.assign(**mine)))
    return out


def renumber(images: ImageSet, others: Sequence[ImageSet]) -> ImageSet:
    """Return a set whose groups, found without the ``others``, have numbers that none of these has."""
    if GROUP not in images.table:
        return images
    columns = (PIXELS, LOOKS, PLACE, GROUP)
    known = [other.table for other in others if GROUP in other.table and len(other)]
    after = {name: max((int(table[name].max()) for table in known), default=-1) + 1 for name in columns}
    return replace(images, table=images.table.assign(**{name: images.table[name] + after[name] for name in columns}))


def _copies(sets: Sequence[ImageSet]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return links between all images of equal pixels."""
    links, starts = [], np.cumsum([0, *(len(images) for images in sets)])
    for a, start in zip(sets, starts, strict=False):
        copies = match_copies(a)
        links.append((copies.i + start, copies.j + start))
    for (a, start_a), (b, start_b) in itertools.combinations(zip(sets, starts, strict=False), 2):
        copies = match_pixels(a, b)
        links.append((copies.i + start_a, copies.j + start_b))
    return links


def keep_apart(data: Data, *, drop: bool = False) -> Data:
    """Return ``data`` when no group of one's own images lies in a test part and elsewhere; else raise, or drop.

    That may be so where the user says what tests. Dropped are training and unlabelled images. Raises InputError that
    counts them.
    """
    tests = [test.table for test in data.tests.values() if GROUP in test.table]
    if not tests:
        return data
    held = {column: np.concatenate([table[column] for table in tests]) for column in (PIXELS, LOOKS, PLACE, GROUP)}
    train = _without(data.train, held, drop)
    return replace(data, train=train, unlabelled=data.unlabelled and _without(data.unlabelled, held, drop))


def _without(images: ImageSet, held: dict[str, np.ndarray], drop: bool) -> ImageSet:
    if GROUP not in images.table:
        return images
    leak_N = images.table[GROUP].isin(held[GROUP]).to_numpy()
    n = int(leak_N.sum())
    if not n:
        return images
    if drop and n < len(images):
        note(f"{images.name}: left out {n} of {len(images)} images of sources that are tested on")
        return images.subset(~leak_N)
    n_by = {column: int(images.table[column].isin(held[column]).sum()) for column in held}
    raise InputError(
        f"{images.name}: expected no image of a source that is tested on, got {n} of {len(images)} ({n_by[PIXELS]} by "
        f"pixels, {n_by[LOOKS]} by pixels or look, {n_by[PLACE]} by place), e.g. "
        f"{images.source_id_N[np.flatnonzero(leak_N)[0]]}; set data.drop_leaks: true to leave them out"
    )


def find_fields(images: ImageSet) -> np.ndarray:
    """Return field_N, a number per source: equal for sources that no split may divide.

    One's own images carry it (:func:`group_sources`). In published sets it is equal within 270 arcsec and for
    the same pixels; both relations are followed from source to source. Those are the criteria by which
    :func:`equirgz.data.overlap.leaks.refuse_leaks` finds test sources in other sets.
    """
    if GROUP in images.table:
        return np.unique(images.table[GROUP].to_numpy(), return_inverse=True)[1]
    return _join(len(images), [*_copies([images]), *_near_on_sky([images], Grouping(LEAK_RADIUS_ARCSEC))])


def _join(n: int, links: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return the connected component of every image."""
    i, j = (np.concatenate([link[side] for link in links] or [np.zeros(0, int)]) for side in (0, 1))
    graph = coo_matrix((np.ones(len(i), np.int8), (i, j)), shape=(n, n))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _same(value_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return links from every image to the first of its value."""
    _, first, which_N = np.unique(value_N, return_index=True, return_inverse=True)
    return np.arange(len(value_N)), first[which_N]


def _near_on_sky(sets: Sequence[ImageSet], grouping: Grouping) -> list[tuple[np.ndarray, np.ndarray]]:
    position_N2 = np.concatenate(
        [np.full((len(a), 2), np.nan) if a.position_deg_N2 is None else a.position_deg_N2 for a in sets]
    )
    links = []
    if grouping.radius_arcsec > 0:
        links.append(match_positions(position_N2, position_N2, grouping.radius_arcsec)[:2])
    if grouping.tile_arcsec is not None:
        known = np.flatnonzero(np.isfinite(position_N2).all(1))
        here, there = _same(find_tiles(position_N2[known], grouping.tile_arcsec))
        links.append((known[here], known[there]))
    return links


def find_tiles(position_deg_N2: np.ndarray, tile_arcsec: float) -> np.ndarray:
    """Return tile_N of positions in degrees: rings of declination, cut into tiles of at least that side."""
    side = tile_arcsec / 3600
    ring_N = np.floor((position_deg_N2[:, 1] + 90) / side)
    top_N = np.maximum(np.abs(ring_N * side - 90), np.abs((ring_N + 1) * side - 90))  # |dec| of the shorter border
    n_N = np.maximum(1, np.floor(360 * np.cos(np.deg2rad(np.minimum(top_N, 90))) / side))
    column_N = np.floor(position_deg_N2[:, 0] % 360 / 360 * n_N)
    return np.unique(np.stack([ring_N, column_N], 1), axis=0, return_inverse=True)[1].ravel()


def divide(images: ImageSet, pieces: Sequence[np.ndarray], *, what: str) -> list[np.ndarray]:
    """Return ``pieces`` (arrays of indices into ``images``) changed so that no field lies in two of them.

    Single sources are exchanged (:func:`keep_together`). Where that leaves a piece empty, or pieces of one's own
    images with other sizes, whole fields are dealt instead, the largest first, each to the piece that lacks most of
    its classes. Raises InputError that names ``what`` and the numbers where a piece stays empty.
    """
    field_N = find_fields(images)
    kept = keep_sizes(pieces, field_N, images.label_N)
    if GROUP not in images.table:  # published splits stay as they are wherever they can be used
        published = keep_together(pieces, field_N, images.label_N)
        kept = published if all(map(len, published)) else kept
    empty = sum(len(after) == 0 for after in kept)
    if empty:
        count = np.bincount(field_N)
        got = f"{len(count)} groups of {len(field_N)} sources, the largest of {count.max()}: {empty} stay empty"
        own = "lower data.params.group_radius_arcsec, or set group_tile_arcsec" if GROUP in images.table else ""
        mend = "ask for fewer or larger parts" + (f", or {own}" if own else "")
        raise InputError(
            f"{images.name}: {what}", expected=f"groups of sources for {len(pieces)} parts", got=got, mend=mend
        )
    return kept


def keep_sizes(pieces: Sequence[np.ndarray], field_N: np.ndarray, label_N: np.ndarray) -> list[np.ndarray]:
    """Return what :func:`keep_together` gives where pieces keep their sizes; else whole fields dealt to pieces."""
    kept = keep_together(pieces, field_N, label_N)
    same = [len(piece) for piece in kept] == [len(piece) for piece in pieces]
    return kept if same else _deal(pieces, field_N, label_N)


def find_own_groups(images: ImageSet) -> np.ndarray | None:
    """Return the groups of one's own images (:func:`group_sources`), None for published sets."""
    return find_fields(images) if GROUP in images.table else None


def _deal(pieces: Sequence[np.ndarray], field_N: np.ndarray, label_N: np.ndarray) -> list[np.ndarray]:
    order_N = np.concatenate([np.asarray(piece) for piece in pieces])
    _, class_N = np.unique(label_N, return_inverse=True)
    n_classes = int(class_N.max(initial=0)) + 1
    lack_PK = np.array([np.bincount(class_N[piece], minlength=n_classes) for piece in pieces], float)
    members: dict[int, list[int]] = {}
    for source in order_N:
        members.setdefault(int(field_N[source]), []).append(int(source))
    out: list[list[int]] = [[] for _ in pieces]
    for field in sorted(members, key=lambda field: -len(members[field])):  # stable: else in the order given
        count_K = np.bincount(class_N[members[field]], minlength=n_classes)
        # of sum_k lack^2, the change is count^2 - 2 count lack; ties fall to the piece that lacks most in all
        piece = max(range(len(pieces)), key=lambda p: (float(count_K @ lack_PK[p]), float(lack_PK[p].sum())))
        lack_PK[piece] -= count_K
        out[piece] += members[field]
    return [np.array(piece, dtype=np.int64) for piece in out]


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
