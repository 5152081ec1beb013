"""``load_data``: a registered dataset, preprocessed, with its leaks refused."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from equirgz.config import DataConfig
from equirgz.data.catalogues.classes import match_classes
from equirgz.data.datasets import DATASETS
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.overlap.groups import keep_apart, renumber
from equirgz.data.overlap.leaks import LEAK_RADIUS_ARCSEC, mark_shown, refuse_leaks, refuse_unchecked
from equirgz.data.overlap.objects import load_object_images
from equirgz.data.pools import join_pools, list_pools
from equirgz.data.preprocess import Preprocessing
from equirgz.data.splits.class_share import thin_to_share
from equirgz.errors import DataError, InputError
from equirgz.paths import as_path


def load_data(
    config: DataConfig | str,
    data_dir: Path | str | None = None,
    *,
    canvas: float = 1.0,
    held_out: Mapping[str, ImageSet] | None = None,
    **overrides: Any,
) -> Data:
    """Load a dataset as float32 images (N, image_size, image_size), ready for a network; spectra as rows.

    Parameters
    ----------
    config : a DataConfig, or the name of a registered dataset (defaults of DataConfig apply).
    data_dir : the data root; default: ``EQUIRGZ_DATA``, else the per-user cache.
    canvas : side of the canvases that views are cut from, in sides of the image; 1: none (`ImageSet.canvas_NHW`).
    held_out : sources, as published, that must not be trained on (:mod:`equirgz.data.held_out`): training and
        unlabelled sets are refused, or cleaned, as an unlabelled set is of test sources.
    overrides : fields of DataConfig to change, e.g. ``image_size=81``, ``params={"version": "v1"}``.

    An unlabelled set that holds test sources (by position, id, pixels, image or object: :func:`refuse_leaks`)
    is refused, or cleaned when ``drop_leaks`` is set; so is an extra test set that holds training sources, and
    sources of either that nothing can compare (:func:`refuse_unchecked`), which ``allow_unchecked`` keeps. With
    ``unlabelled_class_share`` what is left of it is thinned by its labels (:func:`thin_to_share`), which are
    then discarded; without an unlabelled set the label split thins the training pool. Labels of extra test
    sets are matched by class name, and test sources of other classes have none; one folder of one's own alone is
    the test set of data without one. Raises InputError
    for an unknown name or parameter, DataError for files.
    """
    fields = {"name": config} if isinstance(config, str) else config.model_dump()
    config = DataConfig(**{**fields, **overrides})
    root = None if data_dir is None else as_path(data_dir)
    for name in _all_names(config):
        DATASETS.get(name)  # a wrong one is refused before the others are read
    crop = config.crop_arcsec
    held_out = dict(held_out or {})
    data = keep_apart(create_set(config.name, root, config.params, crop), drop=config.drop_leaks)
    others = {
        name: create_set(params.get("name", name), root, {k: v for k, v in params.items() if k != "name"}, crop)
        for name, params in config.extra_tests.items()
    }
    pools = {}
    for name, params in list_pools(config).items():
        made = create_set(params.get("name", name), root, params["params"], crop)
        pools[name] = made.unlabelled or made.train
    _check_channels(data, others, pools.values())
    sets = [data.train, *(other.train for other in others.values()), *pools.values(), *held_out.values()]
    options = {"drop": config.drop_leaks, "first": load_object_images(sets, root) if len(sets) > 1 else None}
    radius = {"radius_arcsec": config.params.get("group_radius_arcsec", LEAK_RADIUS_ARCSEC)}

    def apart(images: ImageSet, held: dict[str, ImageSet], words: str = "test") -> ImageSet:
        images = refuse_unchecked(images, held, allow=config.allow_unchecked, **options)
        return refuse_leaks(images, held, held=words, **options, **radius)

    own = data.unlabelled
    data = replace(data, train=apart(data.train, held_out), unlabelled=None if own is None else apart(own, held_out))
    tests = dict(data.tests)
    for name, other in others.items():
        for part, images in (other.tests or {"all": other.train}).items():
            images = apart(match_classes(images, data.train.class_names), {"train": data.train}, "training")
            tests[f"{name}_{part}"] = renumber(images, [data.train, *tests.values()])
    if [images.own_ids for images in tests.values()] == [True]:
        tests = {"test": next(iter(tests.values()))}  # one's own folder that tests, and no other
    data = replace(data, tests=tests)
    held = data.tests or {"train": data.train}  # without a test set training sources will be held out
    for name, extra in pools.items():
        extra = refuse_unchecked(extra, held | held_out, allow=config.allow_unchecked, **options)
        extra = refuse_leaks(extra, data.tests | held_out, **options, **radius)
        pools[name] = mark_shown(extra, data.train, options["first"])
    if isinstance(config.unlabelled, str):
        data = replace(data, unlabelled=pools[config.unlabelled])
    if data.unlabelled is not None and not isinstance(config.unlabelled, tuple):
        unlabelled, share = data.unlabelled, config.unlabelled_class_share
        if share is not None:
            unlabelled = unlabelled.subset(thin_to_share(unlabelled, share, seed=0))
        data = replace(data, unlabelled=unlabelled.without_labels())
    pipeline = Preprocessing(
        config.image_size, config.crop, config.stretch, config.mask, config.crop_arcsec, config.softening
    )
    data = pipeline.apply(data, canvas)
    if isinstance(config.unlabelled, tuple):
        joined = join_pools({name: pipeline(images, canvas) for name, images in pools.items()})
        data = replace(data, unlabelled=joined)
    return divide_by_rms(data) if config.normalise else data


def _all_names(config: DataConfig) -> list[str]:
    """Return the registered names of all sets of a configuration."""
    others = [params.get("name", name) for name, params in config.extra_tests.items()]
    return [config.name, *others, *(params.get("name", name) for name, params in list_pools(config).items())]


def create_set(name: str, root: Path | None, params: dict[str, Any], crop_arcsec: float | None) -> Data:
    """Return a dataset; where it makes images of raw maps, these are cut to ``crop_arcsec`` before they are scaled."""
    if "crop_arcsec" in inspect.signature(DATASETS.get(name)).parameters:
        if params.get("crop_arcsec", crop_arcsec) != crop_arcsec:
            got, mend = f"params.crop_arcsec {params['crop_arcsec']}", "set data.crop_arcsec in its place"
            what = f"dataset {name!r}"
            raise InputError(what, expected="crop_arcsec of the section data", got=got, mend=mend)
        params = {**params, "crop_arcsec": crop_arcsec}
    return DATASETS.create(name, root, **params)


def _check_channels(data: Data, others: dict[str, Data], pools: Iterable[ImageSet]) -> None:
    """Refuse grey and coloured images in one run: a network takes the channels of its training images."""
    train, sets = data.train, {f"test part {name}": images for name, images in data.tests.items()}
    for name, other in others.items():
        sets[f"data.extra_tests {name}"] = next(iter(other.tests.values()), other.train)
    sets |= {f"data.unlabelled {images.name}": images for images in pools}
    for what, images in sets.items():
        if images.n_channels != train.n_channels:
            expected = f"images of {train.n_channels} channel(s) as those of {train.name}"
            mend = "give both sets the same `colour` (true or false) in their options, or take sets that are alike"
            got = f"{images.n_channels} in {images.name}"
            raise InputError(what, expected=expected, got=got, mend=mend)


def divide_by_rms(data: Data) -> Data:
    """Return the data in units of the training images' root mean square; empty sky stays 0.

    Raises InputError for rows such as spectra, whose channels have units of their own.
    """
    if data.train.holds_rows:
        mend = "set data.normalise: false"
        raise InputError("data.normalise", expected="images", got=f"spectra ({data.train.name})", mend=mend)
    rms = float(np.sqrt(np.mean(np.square(data.train.image_NHW, dtype=np.float64))))
    if not rms > 0:
        raise DataError(f"{data.train.name}: expected training images with signal, got rms {rms}")

    def divided(images: ImageSet) -> ImageSet:
        canvas_NHW = None if images.canvas_NHW is None else images.canvas_NHW / np.float32(rms)
        image_NHW, recipe = images.image_NHW / np.float32(rms), f"{images.recipe}|rms"
        return replace(images, image_NHW=image_NHW, canvas_NHW=canvas_NHW, recipe=recipe)

    tests, more = {name: divided(images) for name, images in data.tests.items()}, data.endless
    return replace(
        data,
        train=divided(data.train),
        tests=tests,
        unlabelled=None if data.unlabelled is None else divided(data.unlabelled),
        endless=None if more is None else lambda start, n: divided(more(start, n)),
    )
