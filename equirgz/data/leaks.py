"""Sources of one set that another one holds out: by position, by id, by pixels, by image.

Legend: N sources.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from equirgz.data.cache import cached_arrays
from equirgz.data.exact import match_pixels
from equirgz.data.imageset import ImageSet
from equirgz.data.likeness import SAME_IMAGE, match_images
from equirgz.data.notes import note
from equirgz.data.position import match_positions
from equirgz.errors import DataError, InputError

LEAK_RADIUS_ARCSEC = 270.0
#: column of ``table``: ids of the training sources with the image of a source without position
SHOWS = "shows_training_source"
#: of the polar maps' correlation below that of the pixels; equal images of FR-DEEP and MiraBest need 0.002
_MARGIN = 0.02
_WORDS = (
    f"within {LEAK_RADIUS_ARCSEC:.0f} arcsec of a {{}} source",
    "with the id of a {} source",
    "with the pixels of a {} source",
    "with the image of a {} source at some orientation",
)


def refuse_leaks(
    images: ImageSet, tests: dict[str, ImageSet], *, drop: bool = False, held: str = "test"
) -> ImageSet:
    """Return ``images`` when they hold no source of ``tests``; else raise, or drop what leaks.

    A source leaks that lies within 270 arcsec of a test source, or has its pixels, turned and flipped or
    not (:func:`match_pixels`). One without position, or compared with such a one, leaks also with the id
    of a test source and, at one known pixel scale, with its image at any orientation (:func:`match_images`
    at a correlation of 0.995, which takes some featureless sources of equal shape for one). A simulation is
    no source of the sky: it leaks by id and pixels only. ``held`` says what ``tests`` are. Raises
    InputError that counts the leaks, DataError when nothing is left.
    """
    kind_N = _find_leaks(images, tests)
    leak_N = kind_N >= 0
    if not leak_N.any():
        return images
    if drop:
        if leak_N.all():
            raise DataError(
                f"{images.name}: expected sources outside the {held} set, got none; choose another set"
            )
        return images.subset(~leak_N)
    first = images.source_id_N[np.flatnonzero(leak_N)[0]]
    words = " or ".join(_WORDS[kind].format(held) for kind in np.unique(kind_N[leak_N]))
    raise InputError(
        f"{images.name}: expected no source {words}, got {int(leak_N.sum())} (e.g. {first}); "
        "set data.drop_leaks: true to drop them, or choose another set"
    )


def _find_leaks(images: ImageSet, tests: dict[str, ImageSet]) -> np.ndarray:
    """Return the first criterion by which every source leaks, as an index of ``_WORDS``; -1 for none."""
    kind_N = np.full(len(images), len(_WORDS))
    for test in tests.values():
        found: dict[int, np.ndarray] = {}
        if images.position_deg_N2 is not None and test.position_deg_N2 is not None:
            found[0], _, _ = match_positions(images.position_deg_N2, test.position_deg_N2, LEAK_RADIUS_ARCSEC)
        rows = _without_position(images, test)
        found[1] = rows[np.isin(images.source_id_N[rows], test.source_id_N)]
        found[2] = match_pixels(images, test).sources_a
        if len(rows) and _comparable(images, test):
            found[3] = rows[find_same_images(images.subset(rows), test)[0]]
        elif SHOWS in images.table:
            ids = set(test.source_id_N)
            found[3] = np.flatnonzero([not ids.isdisjoint(text.split("\n")) for text in images.table[SHOWS]])
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
    """Return whether both show the sky (no simulation, no made input) at one known pixel scale."""
    same_scale = bool(np.isclose(a.pixel_scale_arcsec, b.pixel_scale_arcsec, rtol=0.02))
    return same_scale and not a.recipe and not b.recipe


def find_same_images(a: ImageSet, b: ImageSet) -> tuple[np.ndarray, np.ndarray]:
    """Return indices (of a, of b) of the pairs of one image at some orientation; cached by content."""
    settings = {"version": 1, "correlation": SAME_IMAGE, "margin": _MARGIN}
    key = {"format": "same images", **settings, "sets": [a.checksum, b.checksum]}

    def match() -> dict[str, np.ndarray]:
        pairs = match_images(a, b, correlation=SAME_IMAGE, margin=_MARGIN)
        return {"i": pairs.i, "j": pairs.j}

    found = cached_arrays(key, match)
    return found["i"], found["j"]


def mark_shown(images: ImageSet, train: ImageSet) -> ImageSet:
    """Return ``images`` with the column ``SHOWS``: ids of training sources with the same image, one a line.

    It lets :func:`refuse_leaks` hold out training sources once preprocessing has made images small. Only
    where positions cannot tell, and images can; otherwise the set comes back as it is.
    """
    rows = _without_position(images, train)
    if not len(rows) or not _comparable(images, train):
        return images
    shown = [[] for _ in range(len(images))]
    for i, j in zip(*find_same_images(images.subset(rows), train), strict=True):
        shown[rows[i]].append(str(train.source_id_N[j]))
    return replace(images, table=images.table.assign(**{SHOWS: ["\n".join(ids) for ids in shown]}))


def note_unchecked(images: ImageSet, others: dict[str, ImageSet]) -> None:
    """Name the sets whose overlap with ``images`` neither positions nor images can show, in one note."""
    names = [
        other.name
        for other in others.values()
        if not (images.recipe or other.recipe)  # a simulation shows no source of the sky
        and len(_without_position(images, other))
        and not _comparable(images, other)
    ]
    if names:
        note(
            f"{images.name}: overlap with {', '.join(names)} could not be checked by position or image, which "
            "take positions in both sets or one pixel scale; only ids and exact pixels were compared"
        )
