"""``synthetic_radio``: the second version of the simulator as a data set; see :mod:`equirgz.data.simulate.stream`.

``synthetic_fr`` stays what it was, pixel for pixel, since results are measured on it. This set has wider families,
surveys by name and the truth of every source in its table. Legend: N sources, K parts, H W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from equirgz.data.datasets import DATASETS
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.simulate.stream import BLOCK, SourceStream, stream_sources
from equirgz.errors import InputError
from equirgz.registry import explained_by

PARTS = ("core", "jets", "lobes")
MASK_SIGMA, MASK_SHARE = 3.0, 0.4  # a pixel of a part has this many rms of it, and this share of all parts


def add_masks(images: ImageSet, stream: SourceStream, start: int = 0) -> ImageSet:
    """Return the sources of a stream from ``start`` on with true masks of core, jets and lobes, maps of 0 and 1.

    With the noiseless maps S_k of the parts behind the beam, mJy/beam (hot spots belong to the lobes), a pixel belongs
    to part k where ``S_k >= MASK_SIGMA rms`` and ``S_k >= MASK_SHARE sum_j S_j``. So parts can share a pixel, and what
    noise hides is in no mask. A part that a source lacks is a mask of zeros.
    """
    mask_NKHW = np.empty((len(images), len(PARTS), *images.image_NHW.shape[1:]), np.float32)
    rms_N = images.table["rms_mjy_per_beam"].to_numpy(np.float32)
    for low in range(0, len(images), BLOCK):
        of = slice(low, min(low + BLOCK, len(images)))
        core_NHW, jets_NHW, lobes_NHW, hot_NHW = np.moveaxis(stream.component_maps(start + low, of.stop - low), 1, 0)
        part_NKHW = np.stack([core_NHW, jets_NHW, lobes_NHW + hot_NHW], 1)
        seen_NKHW = part_NKHW >= MASK_SIGMA * rms_N[of, None, None, None]
        mask_NKHW[of] = seen_NKHW & (part_NKHW >= MASK_SHARE * part_NKHW.sum(1, keepdims=True))
    recipe = f"{images.recipe} masks {MASK_SIGMA:g} sigma {MASK_SHARE:g}"
    return replace(images, map_NKHW=mask_NKHW, map_names=PARTS, recipe=recipe)


class _Set:
    """A part of the set as a key of the cache: equal streams make equal images."""

    def __init__(self, stream: SourceStream, n: int, name: str) -> None:
        self.stream, self.n, self.name = stream, n, name

    def __hash__(self) -> int:
        return hash((self.stream.recipe, self.n, self.name))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Set) and (other.stream.recipe, other.n, other.name) == (
            self.stream.recipe, self.n, self.name,
        )  # fmt: skip


@lru_cache(maxsize=8)
def _image_set(part: _Set) -> ImageSet:
    return part.stream.image_set(part.n, name=part.name)


def _survey_options(survey: str | dict[str, Any] | None) -> dict[str, Any]:
    return {"name": survey} if isinstance(survey, str) else dict(survey or {})


@DATASETS.register("synthetic_radio")
@explained_by(stream_sources)
def synthetic_radio(
    data_dir: Path | None = None,
    /,
    n_train: int = 1000,
    n_test: int = 400,
    n_unlabelled: int = 0,
    labels: list[str] | dict[str, list[str]] = ("FRI", "FRII"),
    mixture: dict[str, float] | None = None,
    seed: int = 0,
    survey: str | dict[str, Any] = "FIRST",
    shift: str | dict[str, Any] | None = None,
    size_px: int = 150,
    priors: dict[str, Any] | None = None,
    stream: bool = False,
    masks: bool = False,
) -> Data:
    """Simulated sources of any family: train, test and, with ``shift``, the test sources as a second survey sees them.

    ``labels``, ``mixture``, ``survey``, ``size_px`` and ``priors`` as for
    :func:`~equirgz.data.simulate.stream.stream_sources`.

    Parameters
    ----------
    n_train : training sources, 1 or more.
    n_test : test sources, 0 or more.
    n_unlabelled : sources without labels, 0 or more; of the shifted survey where there is one.
    seed : of all sources.
    stream : a training draws new sources in every batch, those behind the ``n_train`` of the set, of which there is no
        end; the set itself gives the scale of pixels and targets, and sources to validate and to measure on.
    shift : another survey, by name, or options over ``survey``: it sees the test sources again.
    masks : true masks of core, jets and lobes as maps, for the task segmentation (:func:`add_masks`).
    """
    if min(n_train, n_test, n_unlabelled) < 0 or n_train < 1:
        got = f"{n_train}, {n_test}, {n_unlabelled}"
        raise InputError("synthetic_radio", expected="n_train >= 1, n_test >= 0 and n_unlabelled >= 0", got=got)
    base = _survey_options(survey)
    other = None if shift is None else _survey_options(shift) if isinstance(shift, str) else {**base, **shift}

    def sources(part: str, seen: dict[str, Any]) -> SourceStream:
        name = f"synthetic_radio/{part}"
        return stream_sources(seen, mixture, seed, labels=labels, size_px=size_px, priors=priors, name=name)

    def make(n: int, part: str, seen: dict[str, Any], name: str | None = None) -> ImageSet:
        images = _image_set(_Set(sources(part, seen), n, f"synthetic_radio/{name or part}"))
        return add_masks(images, sources(part, seen)) if masks else images

    train = make(n_train, "train", base)
    tests = {"test": make(n_test, "test", base)} if n_test else {}
    if other is not None and n_test:
        tests["test_shift"] = make(n_test, "test", other, "test_shift")
    unlabelled = make(n_unlabelled, "unlabelled", other or base).without_labels() if n_unlabelled else None
    return Data(train, tests, unlabelled, endless=_go_on(sources("train", base), n_train, masks) if stream else None)


def _go_on(stream: SourceStream, n: int, masks: bool) -> Callable[[int, int], ImageSet]:
    """Return what gives the sources behind the first ``n``, from the next whole block on."""
    if (stream.label_F[stream.weight_F > 0] < 0).any():
        mend = "draw labelled families alone, by mixture or labels"
        raise InputError("synthetic_radio: stream", expected="a label of every source", got="some without", mend=mend)
    first = -(-n // BLOCK) * BLOCK

    def more(start: int, count: int) -> ImageSet:
        images = stream.image_set(count, first + start)
        return add_masks(images, stream, first + start) if masks else images

    return more
