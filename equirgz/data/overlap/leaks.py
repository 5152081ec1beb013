"""Sources of one set that another one holds out: by position, by id, by pixels, by image, by object.

Legend: N sources.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from equirgz.data.cache import cached_arrays
from equirgz.data.imageset import ImageSet
from equirgz.data.notes import note
from equirgz.data.overlap.exact import match_pixels
from equirgz.data.overlap.likeness import SAME_IMAGE, match_images
from equirgz.data.overlap.near import CERTAIN, find_near
from equirgz.data.overlap.objects import OBJECT, named_objects
from equirgz.data.sky.position import match_positions
from equirgz.errors import DataError, InputError

LEAK_RADIUS_ARCSEC = 270.0
#: column of ``table``: ids of the training sources with the image of a source without position
SHOWS = "shows_training_source"
#: of the polar maps' correlation below that of the pixels; equal images of two published sets need 0.002
_MARGIN = 0.02
_WORDS = (
    "within {radius:.0f} arcsec of a {held} source",
    "with the id of a {held} source",
    "with the pixels of a {held} source",
    "with the image of a {held} source at some orientation",
    "that is the object of a {held} source",
)


def refuse_leaks(
    images: ImageSet,
    tests: dict[str, ImageSet],
    *,
    drop: bool = False,
    held: str = "test",
    first: ImageSet | None = None,
    radius_arcsec: float = LEAK_RADIUS_ARCSEC,
) -> ImageSet:
    """Return ``images`` when they hold no source of ``tests``; else raise, or drop what leaks.

    A source leaks that lies within ``radius_arcsec`` of a test source, or has its pixels, turned and flipped or
    not (:func:`match_pixels`). One without position, or compared with such a one, leaks also with the id
    of a test source, as the same object by name and, at one known pixel scale, with its image at any
    orientation (:func:`match_images` at a correlation of 0.995, which takes some featureless sources of equal
    shape for one). One's own ids (``ImageSet.own_ids``) prove nothing; one's own images leak also encoded anew,
    turned, rescaled or noisy (:func:`find_near`). ``first`` are images of objects that a set shows in another survey
    (:func:`~equirgz.data.overlap.objects.load_object_images`), by which these are
    compared. A simulation is no source of the sky: it leaks by id and pixels only. ``held`` says what ``tests`` are.
    Raises InputError that counts the leaks, DataError when nothing is left.
    """
    kind_N = _find_leaks(images, tests, first, radius_arcsec)
    leak_N = kind_N >= 0
    if not leak_N.any():
        return images
    if drop:
        if leak_N.all():
            raise DataError(f"{images.name}: expected sources outside the {held} set, got none; choose another set")
        return images.subset(~leak_N)
    source = images.source_id_N[np.flatnonzero(leak_N)[0]]
    words = " or ".join(_WORDS[kind].format(held=held, radius=radius_arcsec) for kind in np.unique(kind_N[leak_N]))
    raise InputError(
        f"{images.name}: expected no source {words}, got {int(leak_N.sum())} (e.g. {source}); "
        "set data.drop_leaks: true to drop them, or choose another set"
    )


def _find_leaks(
    images: ImageSet, tests: dict[str, ImageSet], first: ImageSet | None, radius_arcsec: float
) -> np.ndarray:
    """Return the first criterion by which every source leaks, as an index of ``_WORDS``; -1 for none."""
    kind_N = np.full(len(images), len(_WORDS))
    for test in tests.values():
        found: dict[int, np.ndarray] = {}
        if images.position_deg_N2 is not None and test.position_deg_N2 is not None:
            found[0], _, _ = match_positions(images.position_deg_N2, test.position_deg_N2, radius_arcsec)
        rows = _without_position(images, test)
        if not (images.own_ids or test.own_ids):
            found[1] = rows[np.isin(images.source_id_N[rows], test.source_id_N)]
        found[2] = match_pixels(images, test).sources_a
        shown = _find_shown(images, rows, test, first)[0]
        if SHOWS in images.table:
            ids = set(test.source_id_N)
            marked = [not ids.isdisjoint(text.split("\n")) for text in images.table[SHOWS]]
            shown = np.concatenate([shown, np.flatnonzero(marked)])
        found[3] = shown
        if OBJECT in images.table and OBJECT in test.table:
            found[4] = np.flatnonzero(images.table[OBJECT].isin(test.table[OBJECT]))
        for kind, index in found.items():
            kind_N[index] = np.minimum(kind_N[index], kind)
    return np.where(kind_N < len(_WORDS), kind_N, -1)


def _has_position(images: ImageSet) -> np.ndarray:
    if images.position_deg_N2 is None:
        return np.zeros(len(images), bool)
    return np.isfinite(images.position_deg_N2).all(1)


def _without_position(images: ImageSet, test: ImageSet) -> np.ndarray:
    """Return the indices of the sources of ``images`` that positions cannot compare with all of ``test``."""
    if not _has_position(test).all():
        return np.arange(len(images))
    return np.flatnonzero(~_has_position(images))


def _comparable(a: ImageSet, b: ImageSet) -> bool:
    """Return whether both are images of the sky as published (no network input) at one known pixel scale."""
    same_scale = bool(np.isclose(a.pixel_scale_arcsec, b.pixel_scale_arcsec, rtol=0.02))
    return same_scale and all(images.of_sky and not images.recipe for images in (a, b))


def _views(images: ImageSet, rows: np.ndarray, first: ImageSet | None) -> Iterator[tuple[np.ndarray, ImageSet]]:
    """Yield the indices of sources and their images: those of the set, and those of its objects in ``first``."""
    yield rows, images.subset(rows) if len(rows) < len(images) else images
    index_N = _find_objects(images, first)[rows]
    if (index_N >= 0).any():
        yield rows[index_N >= 0], first.subset(index_N[index_N >= 0])


def _find_objects(images: ImageSet, first: ImageSet | None) -> np.ndarray:
    """Return where ``first`` shows each object of ``images`` in another survey than they do; -1 for nowhere."""
    if first is None or OBJECT not in images.table or _comparable(images, first):
        return np.full(len(images), -1)
    lit_M = first.image_NHW.reshape(len(first), -1).any(1)  # an empty image shows nothing
    place = {name: k for k, name in enumerate(first.table[OBJECT]) if lit_M[k]}
    return np.array([place.get(name, -1) for name in images.table[OBJECT]], dtype=np.int64)


def _find_shown(
    images: ImageSet, rows: np.ndarray, test: ImageSet, first: ImageSet | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return indices (of ``images`` among ``rows``, of ``test``) of the pairs of one image, in either survey."""
    found = [(np.zeros(0, int), np.zeros(0, int))]
    if len(rows):
        for rows_a, a in _views(images, rows, first):
            for rows_b, b in _views(test, np.arange(len(test)), first):
                if _comparable(a, b) and not (a.own_ids and b.own_ids):
                    i, j = find_same_images(a, b)
                    found.append((rows_a[i], rows_b[j]))
    if (images.own_ids or test.own_ids) and _nearly_comparable(images, test):
        found.append(find_near_images(images, test))
    i, j = (np.concatenate(column) for column in zip(*found, strict=True))
    return i, j


def _nearly_comparable(a: ImageSet, b: ImageSet) -> bool:
    """Return whether both are images of the sky as published, of which not two scales are known to differ."""
    scales = np.array([a.pixel_scale_arcsec, b.pixel_scale_arcsec])
    return _comparable(a, b) or (a.of_sky and b.of_sky and not (a.recipe or b.recipe) and np.isnan(scales).any())


def find_near_images(a: ImageSet, b: ImageSet) -> tuple[np.ndarray, np.ndarray]:
    """Return indices (of a, of b) of the pairs that :func:`find_near` is certain of; cached by content."""
    scales = [repr(images.pixel_scale_arcsec) for images in (a, b)]
    key = {"format": "near images", "version": 1, "ratio": CERTAIN, "sets": [a.checksum, b.checksum], "scales": scales}
    near_N = cached_arrays(key, lambda: {"near": find_near([a, b], ratio=CERTAIN)})["near"]
    of_b: dict[int, list[int]] = {}
    for j, group in enumerate(near_N[len(a) :].tolist()):
        of_b.setdefault(group, []).append(j)
    found = [(i, j) for i, group in enumerate(near_N[: len(a)].tolist()) for j in of_b.get(group, ())]
    i, j = np.array(found, dtype=np.int64).reshape(-1, 2).T
    return i, j


def find_same_images(a: ImageSet, b: ImageSet) -> tuple[np.ndarray, np.ndarray]:
    """Return indices (of a, of b) of the pairs of one image at some orientation; cached by content."""
    settings = {"version": 1, "correlation": SAME_IMAGE, "margin": _MARGIN}
    key = {"format": "same images", **settings, "sets": [a.checksum, b.checksum]}

    def match() -> dict[str, np.ndarray]:
        pairs = match_images(a, b, correlation=SAME_IMAGE, margin=_MARGIN)
        return {"i": pairs.i, "j": pairs.j}

    found = cached_arrays(key, match)
    return found["i"], found["j"]


def mark_shown(images: ImageSet, train: ImageSet, first: ImageSet | None = None) -> ImageSet:
    """Return ``images`` with the column ``SHOWS``: ids of training sources with the same image, one a line.

    It lets :func:`refuse_leaks` hold out training sources once preprocessing has made images small. Only
    where positions cannot tell, and images (those of ``first`` too) can; otherwise the set comes back as it is.
    """
    i, j = _find_shown(images, _without_position(images, train), train, first)
    if not len(i):
        return images
    shown = [[] for _ in range(len(images))]
    for source, other in zip(i, j, strict=True):
        shown[source].append(str(train.source_id_N[other]))
    return replace(images, table=images.table.assign(**{SHOWS: ["\n".join(ids) for ids in shown]}))


def refuse_unchecked(
    images: ImageSet,
    others: dict[str, ImageSet],
    *,
    drop: bool = False,
    allow: bool = False,
    first: ImageSet | None = None,
) -> ImageSet:
    """Return ``images`` when all of them can be compared with ``others``; else raise, or drop those that cannot.

    Two sources can be compared where both have positions, are named objects, or have images at one pixel
    scale, be it in the other survey's images ``first``; a simulation or digit shows no source and needs none of
    this. ``allow`` keeps all with a note. Raises InputError that counts what cannot be compared: without
    ``drop``, or when that is everything.
    """
    unchecked_N = np.zeros(len(images), bool)
    names = []
    for other in others.values():
        found_N = _find_unchecked(images, other, first)
        unchecked_N |= found_N
        names += [other.name] if found_N.any() else []
    n = int(unchecked_N.sum())
    if not n:
        return images
    what = f"{n} of {len(images)} sources that neither positions nor images can compare with {', '.join(names)}"
    if allow:
        note(f"{images.name}: kept {what}; only ids and exact pixels were compared")
        return images
    if drop and n < len(images):
        note(f"{images.name}: left out {what}")
        return images.subset(~unchecked_N)
    mends = ["give both sets positions or one pixel scale"]
    if first is None:
        shown = named_objects((images, *others.values()))
        mends += [f"put {one.filename} ({one.dataset}) into the data root" for one in shown.values()]
    if n < len(images):
        mends.append("set data.drop_leaks: true to drop them")
    raise InputError(
        f"{images.name}: expected sources whose overlap with other sets can be checked, got {what}; "
        f"{', '.join(mends)}, or set data.allow_unchecked: true"
    )


def _find_unchecked(images: ImageSet, other: ImageSet, first: ImageSet | None) -> np.ndarray:
    """Return unchecked_N: True for sources that nothing can compare with some source of ``other``."""
    none_N = np.zeros(len(images), bool)
    if not (images.of_sky and other.of_sky) or not len(other) or _comparable(images, other):
        return none_N
    if OBJECT in images.table and OBJECT in other.table:
        return none_N
    known_N, known_M = _has_position(images), _has_position(other)
    open_M = ~_shown_at_scale(other, images, first)
    nothing_N = np.where(known_N, (open_M & ~known_M).any(), open_M.any())
    return nothing_N & ~_shown_at_scale(images, other, first)


def _shown_at_scale(images: ImageSet, other: ImageSet, first: ImageSet | None) -> np.ndarray:
    """Return shown_N: True for the sources that ``first`` shows at the pixel scale of ``other``."""
    if first is None or not _comparable(first, other):
        return np.zeros(len(images), bool)
    return _find_objects(images, first) >= 0
