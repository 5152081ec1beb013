"""Sources that two sets share: by position, by image at any orientation, by embedding.

Legend: N, M sources of the two sets; F features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equirgz.data.imageset import ImageSet
from equirgz.data.overlap.exact import match_pixels
from equirgz.data.overlap.leaks import find_near_images
from equirgz.data.overlap.likeness import match_images
from equirgz.data.overlap.pairs import Pairs
from equirgz.data.sky.position import match_positions
from equirgz.errors import InputError

_BLOCK = 256


@dataclass(frozen=True)
class Overlap:
    """What two sets share, by each criterion that could be applied; ``skipped`` names the others, with reasons."""

    name_a: str
    name_b: str
    n_a: int
    n_b: int
    same_object: Pairs | None
    same_field: Pairs | None
    same_image: Pairs | None
    same_embedding: Pairs | None = None
    skipped: tuple[str, ...] = ()

    def shared_a(self) -> np.ndarray:
        """Return indices of the sources of A that are found in B as objects or as images."""
        found = [pairs.sources_a for pairs in (self.same_object, self.same_image, self.same_embedding) if pairs]
        return np.unique(np.concatenate(found)) if found else np.zeros(0, int)

    def shared_b(self) -> np.ndarray:
        """Return indices of the sources of B to drop when A is held out: also those in the same field."""
        everything = (self.same_object, self.same_field, self.same_image, self.same_embedding)
        found = [pairs.sources_b for pairs in everything if pairs]
        return np.unique(np.concatenate(found)) if found else np.zeros(0, int)

    def lines(self) -> list[str]:
        """Return a report of a few lines: "clean" stands where something was compared and nothing is shared."""
        out = [f"{self.name_a} ({self.n_a} sources) against {self.name_b} ({self.n_b} sources)"]
        for what, pairs in (
            ("same object by position", self.same_object),
            ("same field by position", self.same_field),
            ("same image at some orientation", self.same_image),
            ("same embedding", self.same_embedding),
        ):
            if pairs is not None:
                out.append(f"  {what}: {len(pairs.sources_a)} of A in {len(pairs.sources_b)} of B")
        compared = len(out) > 1
        if self.skipped:
            out.append(f"  not compared: {'; '.join(self.skipped)}")
        if len(self.shared_a()):
            out.append(f"  in all: {len(self.shared_a())} of A")
        elif self.same_field:
            out.append(f"  in all: 0 of A, but {len(self.same_field.sources_a)} of A lie in a field of B")
        elif compared:
            out.append("  clean")
        return out


def check_overlap(
    a: ImageSet,
    b: ImageSet,
    *,
    object_arcsec: float = 60.0,
    field_arcsec: float = 270.0,
    correlation: float = 0.99,
    images: bool = True,
    embedding_a: np.ndarray | None = None,
    embedding_b: np.ndarray | None = None,
    cosine: float = 0.999,
) -> Overlap:
    """Find the sources that two sets share (a set against itself: pairs i < j only).

    By position: within ``object_arcsec`` it is the same object, within ``field_arcsec`` (one FIRST
    cutout) the images show the same sky. By image: correlation above ``correlation`` at the best
    orientation (:func:`match_images`), or of two sets of one's own as splits find them (pixels and
    :func:`~equirgz.data.overlap.near.find_near`). By embedding: cosine above ``cosine`` of the features given.
    A criterion that cannot be applied (no positions, other pixel scales, no features) gives None. Those by
    position and image are named in ``skipped``, and so are sources without position.
    """
    itself = a is b
    same_object = same_field = same_image = same_embedding = None
    skipped = []
    known_a, known_b = (_has_position(images) for images in (a, b))
    gaps = [
        f"{(~known_N).sum()} of {len(images)} sources of {images.name}"
        for images, known_N in ((a, known_a), (b, known_b))
        if not known_N.all()
    ]
    if gaps:
        skipped.append(f"by position ({' and '.join(dict.fromkeys(gaps))} have none)")
    if known_a.any() and known_b.any():
        i, j, separation = match_positions(a.position_deg_N2, b.position_deg_N2, field_arcsec)
        near = separation <= object_arcsec
        same_object = _pairs(i[near], j[near], separation[near], itself)
        same_field = _pairs(i, j, separation, itself)
    scales = a.pixel_scale_arcsec, b.pixel_scale_arcsec
    alike = np.isclose(*scales, rtol=0.02) or not np.isfinite(scales).any()
    if images and alike and a.own_ids and b.own_ids and not itself:
        same_image = _match_own(a, b)
    elif images and alike:
        same_image = match_images(a, b, correlation=correlation)
    elif images:
        skipped.append(f"by image (pixel scales of {scales[0]:g} and {scales[1]:g} arcsec)")
    if embedding_a is not None and embedding_b is not None:
        same_embedding = match_embeddings(embedding_a, embedding_b, cosine=cosine, itself=itself)
    found = same_object, same_field, same_image, same_embedding
    return Overlap(a.name, b.name, len(a), len(b), *found, skipped=tuple(skipped))


def _match_own(a: ImageSet, b: ImageSet) -> Pairs:
    """Return the pairs of equal pixels, and of images that show one source; the score is 1."""
    found = [*zip(*find_near_images(a, b), strict=True)]
    pixels = match_pixels(a, b)
    i, j = np.array(sorted({*found, *zip(pixels.i, pixels.j, strict=True)}), dtype=np.int64).reshape(-1, 2).T
    return Pairs(i, j, np.ones(len(i)))


def _has_position(images: ImageSet) -> np.ndarray:
    if images.position_deg_N2 is None:
        return np.zeros(len(images), bool)
    return np.isfinite(images.position_deg_N2).all(1)


def _pairs(i: np.ndarray, j: np.ndarray, score: np.ndarray, itself: bool) -> Pairs:
    keep = i < j if itself else np.ones(len(i), bool)
    return Pairs(i[keep], j[keep], score[keep])


def match_embeddings(a_NF: np.ndarray, b_MF: np.ndarray, *, cosine: float = 0.999, itself: bool = False) -> Pairs:
    """Return the pairs of feature vectors whose cosine is at least ``cosine``; zero vectors match nothing."""
    if a_NF.ndim != 2 or b_MF.ndim != 2 or a_NF.shape[1] != b_MF.shape[1]:
        raise InputError("embeddings", expected="(N, F) and (M, F)", got=f"{a_NF.shape} and {b_MF.shape}")
    unit_a, unit_b = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30) for x in (a_NF, b_MF))
    found = []
    for start in range(0, len(unit_a), _BLOCK):
        value = unit_a[start : start + _BLOCK] @ unit_b.T
        i, j = np.nonzero(value >= cosine)
        found.append((i + start, j, value[i, j]))
    i, j, score = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return _pairs(i, j, score, itself)
