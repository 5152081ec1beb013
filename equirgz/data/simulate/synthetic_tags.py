"""Simulated sources that bear plain-English tags, told from their truth: what the task ``multilabel`` learns from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from equirgz.data.datasets import DATASETS
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.simulate.stream import stream_sources
from equirgz.data.simulate.synthetic_radio import synthetic_radio
from equirgz.errors import DataError
from equirgz.registry import explained_by

LABELS = ("FRI", "FRII", "bent", "hybrid", "compact")
#: raised whenever the same source gets other tags
TAGS_VERSION = 1


def _family(*words: str) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda truth: truth["family"].str.contains("|".join(words))


def _over(column: str, limit: float) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda truth: (truth[column] > limit) & ~truth["class"].eq("compact")


#: tag -> whether a source of that truth bears it: its shape before beam and noise, which may hide it
TAGS: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    "bent": _over("bending_deg", 25.0),
    "one-sided": lambda truth: _over("asymmetry", 0.3)(truth) | _family("one_sided", "core_jet")(truth),
    "hot spots": _over("hot_share", 0.25),
    "plumes": lambda truth: _over("jet_share", 0.5)(truth) & (truth["fr_ratio"] < 0.5),
    "lobes": _over("lobe_share", 0.5),
    "edge-brightened": _over("fr_ratio", 0.65),
    "bright core": lambda truth: _over("core_share", 0.15)(truth),
    "core only": _family("compact_core$"),
    "hourglass": lambda truth: _family("_fat")(truth) & (truth["bending_deg"] < 25.0),
    "s-shaped": _family("s_shape"),
    "x-shaped": _family("x_shape"),
    "double-double": _family("double_double"),
    "large": _over("las_arcsec", 90.0),
    "small": lambda truth: (truth["las_arcsec"] < 25.0) & ~truth["class"].eq("compact"),
}


def tag_sources(truth: pd.DataFrame) -> pd.DataFrame:
    """Return a column of 1.0 and 0.0 per tag of ``TAGS``, a row per source, from the simulator's table of the truth.

    Raises DataError where the table lacks a column of the truth.
    """
    needed = {"family", "class", "las_arcsec", "fr_ratio", "bending_deg", "asymmetry", "core_share", "jet_share",
              "lobe_share", "hot_share"}  # fmt: skip
    lacking = sorted(needed - set(truth.columns))
    if lacking:
        raise DataError("tags", expected="the simulator's table of the truth", got=f"none of {', '.join(lacking)}")
    return pd.DataFrame({tag: np.asarray(rule(truth), np.float64) for tag, rule in TAGS.items()})


def add_tags(images: ImageSet) -> ImageSet:
    """Return simulated sources with their tags as columns of the table."""
    table = pd.concat([images.table, tag_sources(images.table)], axis=1)
    return replace(images, table=table, recipe=f"{images.recipe}|tags v{TAGS_VERSION}")


@DATASETS.register("synthetic_tags")
@explained_by(synthetic_radio, stream_sources)
def synthetic_tags(
    data_dir: Path | None = None,
    /,
    n_train: int = 1000,
    n_test: int = 400,
    labels: list[str] | dict[str, list[str]] = LABELS,
    mixture: dict[str, float] | None = None,
    seed: int = 0,
    survey: str | dict[str, Any] = "FIRST",
    size_px: int = 150,
    priors: dict[str, Any] | None = None,
) -> Data:
    """Simulated sources of every family (as ``synthetic_radio``) with tags such as bent, one-sided, hot spots.

    Train with ``task: {name: multilabel, params: {tags: [bent, one-sided, hot spots]}}``.
    """
    data = synthetic_radio(
        data_dir, n_train=n_train, n_test=n_test, labels=labels, mixture=mixture, seed=seed, survey=survey,
        size_px=size_px, priors=priors,
    )  # fmt: skip
    return Data(add_tags(data.train), {name: add_tags(images) for name, images in data.tests.items()})
