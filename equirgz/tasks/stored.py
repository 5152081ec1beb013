"""Tasks as results keep them: beside a plan, and answers as plain lists. Legend: N sources, M networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from equirgz.tasks.base import Kept, Named, Task, create_task
from equirgz.tasks.classification import CLASSES


def describe_task(name: str, params: Mapping[str, Any], images: Named) -> dict[str, Any]:
    """Return what :func:`restore_task` needs, as JSON: the task, its options, and the names of the training set."""
    names = {"class_names": list(images.class_names), "map_names": list(images.map_names)}
    return {"name": name, "params": dict(params), **names}


def restore_task(described: Mapping[str, Any] | None) -> Task:
    """Return the task that was described; nothing stands for a classification, as in plans older than tasks."""
    if described is None:
        return CLASSES
    names = {key: tuple(described.get(key, ())) for key in ("class_names", "map_names")}
    return create_task(described["name"], Named("results", **names), **described.get("params", {}))


def dump_kept(kept: Kept) -> dict[str, list[Any]]:
    """Return the arrays of a task as plain lists for JSON, None where NaN."""
    return {name: _plain(array) for name, array in kept.items()}


def _plain(array: np.ndarray) -> list[Any]:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        array = np.where(np.isfinite(array), array.astype(object), None)
    return array.tolist()


def load_kept(task: Task, dump: Mapping[str, Any]) -> Kept:
    """Return the arrays that :func:`dump_kept` made lists of."""
    found = {name: np.asarray(dump[name], dtype=object) for name in task.kept}
    return {name: array.astype(np.int64 if _is_whole(array) else np.float64) for name, array in found.items()}


def _is_whole(array: np.ndarray) -> bool:
    return all(isinstance(value, int) for value in array.ravel())


def kept_columns(task: Task, kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return name -> values of ONE source as columns of a table: "target", "p0", "p1" (see ``Task.kept``)."""
    columns: dict[str, Any] = {}
    for name, prefix in task.kept.items():
        value = kept[name]
        several = {f"{prefix}{i}": item for i, item in enumerate(value)} if isinstance(value, list) else {prefix: value}
        columns |= several
    return columns


def is_kept_column(task: Task, column: str) -> bool:
    """Return whether a table's column is one of :func:`kept_columns`."""
    return any(column == prefix or _numbered(column, prefix) for prefix in task.kept.values())


def _numbered(column: str, prefix: str) -> bool:
    return column.startswith(prefix) and column[len(prefix) :].isdigit()


def read_kept(task: Task, frame: pd.DataFrame | Mapping[str, np.ndarray]) -> Kept:
    """Return what is kept of the sources of ONE run from numbers in the columns of :func:`kept_columns`.

    A run of fewer classes than the table has columns for has none of the others.
    """
    kept: Kept = {}
    for name, prefix in task.kept.items():
        if prefix in frame:
            kept[name] = np.asarray(frame[prefix], np.float64)
            continue
        numbered = sorted((c for c in frame if _numbered(c, prefix)), key=lambda c: int(c[len(prefix) :]))
        columns = [np.asarray(frame[c], np.float64) for c in numbered]
        shown = [column for column in columns if not task.categorical or not np.isnan(column).any()]
        kept[name] = np.stack(shown, 1) if shown else np.empty((len(frame[next(iter(frame))]), 0))
    if task.categorical:
        kept["target"] = kept["target"].astype(np.int64)
    return kept
