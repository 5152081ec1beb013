"""A look at the views that a run trains on: what each part of its augmentation leaves and changes.

Legend: N sources, V views, H W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from equirgz.augment import create_augmentation
from equirgz.augment.base import Augmentation
from equirgz.config import RunConfig, TrainConfig
from equirgz.data import load_data
from equirgz.data.imageset import ImageSet
from equirgz.errors import InputError, check_choice, require
from equirgz.evaluate.view_quality import Judge, make_judge, make_views, measure_views
from equirgz.objectives.teachers import load_teachers
from equirgz.seeding import derive_seed
from equirgz.train.sources.batches import make_train_augmentation

WHOLE = "all of it"


@dataclass(frozen=True)
class Views:
    """``table``: a row per part of the augmentation, shares of 1; images and views of the first sources."""

    table: pd.DataFrame
    plain_NHW: np.ndarray
    view_VNHW: np.ndarray
    judge: str


def look_at_views(
    config: RunConfig,
    data_dir: Path | None = None,
    *,
    stage: str = "train",
    network: Path | str | None = None,
    n_sources: int = 256,
    n_views: int = 4,
) -> Views:
    """Return what :func:`~equirgz.evaluate.view_quality.measure_views` says of a run's augmentation, and of each part.

    ``stage`` is "train", "pretrain", or "pretrain.N", the stage N of several, whose own data are looked at. Sources are
    up to ``n_sources`` of the training set, evenly from its order: no test source is looked at. The judge
    is the saved classifier or encoder ``network``, or the pixels. Raises InputError for a stage that the run does not
    have, fewer than 4 sources or 2 views, and a network of other images than the run's.
    """
    config = _stage(config, stage)
    settings = config.train
    require(n_views >= 2, "views", expected="at least 2", got=n_views)
    whole = create_augmentation(settings.augmentation, **settings.augmentation_params)
    alone = {"unlabelled": None, "unlabelled_params": {}, "unlabelled_with_train": False, "extra_tests": {}}
    train = load_data(config.data, data_dir, canvas=whole.canvas, unlabelled_class_share=None, **alone).train
    require(min(len(train), n_sources) >= 4, "sources", expected="at least 4", got=min(len(train), n_sources))
    images = train.subset(np.linspace(0, len(train) - 1, min(n_sources, len(train))).round().astype(int))
    judge = _make_judge(network, images)
    rows, views = [], {}
    for name, augmentation, x_NCHW in _parts(settings, config, images):
        views[name] = make_views(x_NCHW, augmentation, n_views, derive_seed(config.seed, "views", name))
        rows.append(
            {"views": name, **measure_views(images.x_NCHW, views[name], images.label_N, judge), "n": len(images)}
        )
    return Views(pd.DataFrame(rows), images.image_NHW, views[WHOLE][:, :, 0], judge.name)


def _stage(config: RunConfig, stage: str) -> RunConfig:
    """Return a run with the data and the training of its ``stage``."""
    if stage == "train":
        return config
    stages = {"pretrain" if len(config.stages) == 1 else f"pretrain.{k}": one for k, one in enumerate(config.stages)}
    if stage == "pretrain" and not stages:
        raise InputError("--stage pretrain", expected="a run with a pre-training", got="none", mend="look at train")
    chosen = stages[check_choice("--stage", stage, ("train", *stages))]
    if chosen.encoder is not None:
        raise InputError(f"--stage {stage}", expected="a training", got=f"the encoder {chosen.encoder}")
    return config.model_copy(update={"data": chosen.data or config.data, "train": chosen.train})


def _make_judge(network: Path | str | None, images: ImageSet) -> Judge:
    if network is None:
        return make_judge()
    (loaded,) = load_teachers(str(network), _Shape(images.n_channels, images.image_size))
    n_classes = getattr(getattr(loaded, "objective", loaded), "n_classes", None)
    if n_classes not in (None, images.n_classes):
        raise InputError("--network", expected=f"a classifier of {images.n_classes} classes", got=n_classes)
    return make_judge(loaded)


@dataclass(frozen=True)
class _Shape:
    in_channels: int
    image_size: int


def _parts(settings: TrainConfig, config: RunConfig, images: ImageSet) -> list[tuple[str, Augmentation, np.ndarray]]:
    made = make_train_augmentation(
        settings,
        mask=config.data.mask,
        pixel_scale_arcsec=images.pixel_scale_arcsec,
        image_size=images.image_size if images.canvas_NHW is not None else None,
    )
    x_NCHW = images.canvas_NCHW if made.canvas > 1 else images.x_NCHW
    return [(WHOLE, made, x_NCHW), *((name, part, x_NCHW) for name, part in made.parts().items())]
