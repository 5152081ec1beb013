"""What the further measurements need of a run, told before any training; torch is imported only where one asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from equirgz.config import RunConfig
from equirgz.errors import InputError

if TYPE_CHECKING:
    from equirgz.data import ImageSet

OF_TASK = {"imaging": "denoising", "masks": "segmentation"}  # of a classification are all others
OF_ROWS, OF_IMAGES = ("spectra",), ("attention", "imaging", "masks", "source_rotation", "turned_queries")
NEED_VALIDATION = ("class_shares", "conformal")


def check_further(config: RunConfig) -> None:
    """Raise InputError, before any training, where a run lacks what a further measurement needs."""
    for name in config.evaluation.further:
        what = f"evaluation.further: {name}"
        task = OF_TASK.get(name, "classification")
        if config.task.name != task:
            raise InputError(what, expected=f"the task {task}", got=config.task.name, mend="leave it out")
        if name in NEED_VALIDATION and config.split.n_val == 0:
            raise InputError(what, expected="validation sources to fit it on", got="none", mend="set split.n_val")
        if name == "pruning" and not _has_posterior(config.objective.name):
            mend = "use the objective variational or ivon, or leave it out"
            raise InputError(what, expected="weights with a distribution", got=config.objective.name, mend=mend)


def check_kind(config: RunConfig, takes_rows: bool, images: ImageSet) -> None:
    """Raise InputError where spectra meet a network or a further measurement of images, or images one of spectra."""
    kinds = {True: "spectra", False: "images"}
    rows = images.holds_rows
    if takes_rows != rows:
        expected, got = (
            f"a network of {kinds[rows]}, as {images.name} are",
            f"{config.backbone.name}, of {kinds[not rows]}",
        )
        mend = "use spectral_transformer" if rows else "use another backbone"
        raise InputError("backbone", expected=expected, got=got, mend=mend)
    for name in config.evaluation.further:
        if name in (OF_IMAGES if rows else OF_ROWS):
            got = f"{kinds[rows]} ({images.name})"
            raise InputError(f"evaluation.further: {name}", expected=kinds[not rows], got=got, mend="leave it out")
    if rows and config.evaluation.views > 1:
        got = f"{config.evaluation.views} of spectra"
        raise InputError("evaluation.views", expected="1, for spectra are not turned", got=got)


def _has_posterior(objective: str) -> bool:
    from equirgz.objectives.base import OBJECTIVES
    from equirgz.objectives.bayesian.posterior import WeightPosterior

    made = OBJECTIVES.get(objective)
    return isinstance(made, type) and issubclass(made, WeightPosterior)
