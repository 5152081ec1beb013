"""What a run holds out, as published: the sources that no stage before its training, and nothing beside it, may see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from equirgz.config import DataConfig
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.load import create_set, load_data
from equirgz.data.overlap.groups import keep_apart
from equirgz.errors import InputError


def load_held_out(config: DataConfig, source_ids: Iterable[str], data_dir: Path | None) -> dict[str, ImageSet]:
    """Return the sources of a run's set that have one of ``source_ids``, and all of its extra test sets.

    Images are as published, for small ones do not tell whether two sets show one source.
    """
    data = keep_apart(create_set(config.name, data_dir, config.params, config.crop_arcsec), drop=config.drop_leaks)
    ids = np.array(sorted(set(source_ids)), dtype=str)
    parts = {"train": data.train, **data.tests}
    for name, params in config.extra_tests.items():
        options = {key: value for key, value in params.items() if key != "name"}
        other = create_set(params.get("name", name), data_dir, options, config.crop_arcsec)
        parts |= {f"{name}_{part}": images for part, images in (other.tests or {"all": other.train}).items()}
    held = {
        name: images.subset(np.isin(images.source_id_N, ids)) if name in ("train", *data.tests) else images
        for name, images in parts.items()
    }
    return {name: images for name, images in held.items() if len(images)}


def load_apart(
    config: DataConfig,
    run: DataConfig,
    data: Data,
    val_ids: Iterable[str],
    data_dir: Path | None,
    *,
    canvas: float = 1.0,
) -> Data:
    """Return the set ``config`` without a test set: all that a training beside that of a run may see.

    ``data`` is what the run tests and trains on, ``val_ids`` are its validation sources. Raises InputError for a set
    that holds any of what the run holds out (:func:`~equirgz.data.load_data`, whose ``drop_leaks`` leaves it out),
    for other channels than the run's, and for a test set alone.
    """
    ids = [source for images in data.tests.values() for source in images.source_id_N] + list(val_ids)
    held = load_held_out(run, ids, data_dir)
    found = load_data(config, data_dir, canvas=canvas, held_out=held)
    if found.train.n_channels != data.train.n_channels:
        expected, got = f"{data.train.n_channels} channel(s) as the run's images", f"{found.train.n_channels}"
        raise InputError(f"data {config.name}", expected=expected, got=got)
    return replace(found, tests={})
