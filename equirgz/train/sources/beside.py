"""The labelled sources of a training: the run's own, sources of another set beside them, and ever new ones.

Legend: N sources.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from equirgz.config import DataConfig, JointConfig
from equirgz.data import Data, ImageSet
from equirgz.data.catalogues.classes import match_classes
from equirgz.data.held_out import load_apart
from equirgz.errors import EquirgzError, InputError
from equirgz.tasks import Task
from equirgz.train.sources.fresh import Drawn, FreshSources


def load_joint(
    joint: JointConfig, run: DataConfig, data: Data, val_ids: Iterable[str], data_dir: Path | None, *, canvas: float
) -> Data:
    """Return the other set of a joint training, apart from what the run holds out, with the run's labels."""
    try:
        found = load_apart(joint.data, run, data, val_ids, data_dir, canvas=canvas)
        names, more = data.train.class_names, found.endless
        if found.endless is not None:
            _check_all_known(found.train, names)
        return replace(
            found,
            train=match_classes(found.train, names),
            endless=None if more is None else lambda start, n: match_classes(more(start, n), names),
        )
    except EquirgzError as error:
        raise type(error)(f"joint: {error}") from error


def _check_all_known(images: ImageSet, names: tuple[str, ...]) -> None:
    unknown = sorted({name for name in images.class_names if name.lower() not in {known.lower() for known in names}})
    if unknown:
        mend = "name its classes so, by data.params.labels"
        expected = f"an endless stream of the run's classes {', '.join(names)} alone"
        raise InputError(images.name, expected=expected, got=", ".join(unknown), mend=mend)


def label_sources(
    labelled: ImageSet, data: Data, joint: Data | None, config: JointConfig | None, task: Task
) -> dict[str, Any]:
    """Return the arguments of :class:`~equirgz.train.images.TrainImages` that say what is labelled.

    A joint training has two parts in their shares, of the other set the sources with a target. Of sets without an end
    a training draws new sources in place of those.
    """
    own = {"x_NCHW": labelled.x_NCHW, "y_N": task.targets(labelled), "x_canvas_NCHW": labelled.canvas_NCHW}
    if joint is None:
        return own if data.endless is None else own | {"fresh": {"labelled": draw_fresh(data, task)}}
    if data.endless is not None:
        raise InputError("joint", expected="a run on sources of a set", got="an endless stream", mend="leave joint out")
    target_N = task.targets(joint.train)
    known_N = task.known(target_N)
    if not known_N.any():
        raise InputError("joint", expected=f"sources with targets of {task.name}", got=f"none in {joint.train.name}")
    other, canvases = joint.train.subset(known_N), None
    both = (labelled.canvas_NCHW, other.canvas_NCHW)
    if all(canvas is not None for canvas in both) and both[0].shape[1:] == both[1].shape[1:]:
        canvases = np.concatenate(both)
    return {
        "x_NCHW": np.concatenate([labelled.x_NCHW, other.x_NCHW]),
        "y_N": np.concatenate([own["y_N"], target_N[known_N]]),
        "x_canvas_NCHW": canvases,
        "parts_of_labelled": [(len(labelled), 1 - config.share), (len(other), config.share)],
        "fresh": {} if joint.endless is None else {"labelled": draw_fresh(joint, task)},
    }


def draw_fresh(data: Data, task: Task | None = None) -> FreshSources:
    """Return the sources behind a set without an end, with the targets of ``task`` where it is given."""

    def draw(start: int, n: int) -> Drawn:
        images = data.endless(start, n)
        return Drawn(images.x_NCHW, images.canvas_NCHW, None if task is None else task.targets(images))

    return FreshSources(draw, f"behind {data.train.recipe or data.train.checksum}")
