"""Several questions about each source, answered from the same features: a class and its physical parameters, say.

Legend: N sources, O outputs of all parts, A answers of all parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from equirgz.errors import InputError, require
from equirgz.tasks.base import TASKS, Headline, Kept, Named, Row, Targets, Task, create_task


@dataclass(frozen=True)
class Several(Task):
    """Tasks side by side on one encoder, each with a weight in the loss; the first gives the headline.

    A target is (N, columns of all parts), float64, NaN where missing (a class is its number); an answer holds those
    of the parts side by side. Dense tasks are none of the parts: their answers are maps.
    """

    parts: tuple[Task, ...]
    weights: tuple[float, ...]
    name = "several"
    kept = {"target": "t", "answer": "a"}

    @property
    def n_outputs(self) -> int:
        return sum(part.n_outputs for part in self.parts)

    @property
    def circular(self) -> tuple[str, ...]:
        return tuple(name for part in self.parts for name in part.circular)

    @property
    def headline(self) -> Headline:
        return self.parts[0].headline

    @property
    def shown(self) -> tuple[str, ...]:
        return tuple(metric for part in self.parts for metric in part.shown)

    @property
    def titles(self) -> dict[str, str]:  # type: ignore[override]
        return {metric: title for part in self.parts for metric, title in part.titles.items()}

    def has_targets(self, images: Targets) -> bool:
        return all(part.has_targets(images) for part in self.parts)

    def targets(self, images: Targets) -> np.ndarray:
        return self._join([part.targets(images) for part in self.parts])

    def no_targets(self, n: int, size: int) -> np.ndarray:
        return self._join([part.no_targets(n, size) for part in self.parts])

    def _join(self, targets: list[np.ndarray]) -> np.ndarray:
        """Return the targets of all parts side by side; a missing class is NaN."""
        columns = []
        for target_N in targets:
            is_class = target_N.ndim == 1
            column_N = np.where(target_N < 0, np.nan, target_N)[:, None] if is_class else np.asarray(target_N, float)
            columns.append(column_N)
        return np.concatenate(columns, 1)

    def split_targets(self, target_N: np.ndarray) -> list[np.ndarray]:
        """Return the targets of each part as that part has them; a missing class is -1."""
        widths = [np.atleast_2d(part.no_targets(1, 1).T).T.shape[1] for part in self.parts]
        pieces = np.split(np.asarray(target_N, np.float64), np.cumsum(widths)[:-1], axis=1)
        return [
            np.nan_to_num(piece[:, 0], nan=-1).astype(np.int64) if part.no_targets(1, 1).ndim == 1 else piece
            for part, piece in zip(self.parts, pieces, strict=True)
        ]

    def known(self, target_N: np.ndarray) -> np.ndarray:
        known = [part.known(piece) for part, piece in zip(self.parts, self.split_targets(target_N), strict=True)]
        return np.any(known, axis=0)

    def check(self, target_N: np.ndarray) -> None:
        width = self.no_targets(1, 1).shape[1]
        target_N = np.asarray(target_N)
        if target_N.ndim != 2 or target_N.shape[1] != width:
            names = " and ".join(part.name for part in self.parts)
            raise InputError("targets", expected=f"(N, {width}) of {names}", got=f"{target_N.dtype} {target_N.shape}")
        for part, piece in zip(self.parts, self.split_targets(target_N), strict=True):
            part.check(piece[part.known(piece)])

    def decode(self, mean_N: np.ndarray) -> np.ndarray:
        ends = np.cumsum([part.n_outputs for part in self.parts])[:-1]
        pieces = np.split(np.asarray(mean_N, np.float64), ends, axis=1)
        return np.concatenate([part.decode(piece) for part, piece in zip(self.parts, pieces, strict=True)], 1)

    def keep(self, answer_N: np.ndarray, target_N: np.ndarray) -> Kept:
        return {"target": np.asarray(target_N, np.float64), "answer": np.asarray(answer_N, np.float64)}

    def split_kept(self, kept: Kept) -> list[Kept]:
        """Return what each part would have kept of its own answers."""
        widths = [part.decode(np.ones((1, part.n_outputs))).shape[1] for part in self.parts]
        answers = np.split(kept["answer"], np.cumsum(widths)[:-1], axis=1)
        targets = self.split_targets(kept["target"])
        return [part.keep(a, t) for part, a, t in zip(self.parts, answers, targets, strict=True)]

    def score(self, kept: Kept) -> list[Row]:
        pairs = zip(self.parts, self.split_kept(kept), strict=True)
        return [row for part, own in pairs for row in part.score(own)]

    def loss_per_source(self, kept: Kept) -> np.ndarray:
        return self.parts[0].loss_per_source(self.split_kept(kept)[0])


@TASKS.register("several")
def several(images: Named | Targets, *, tasks: Sequence[Mapping[str, Any]]) -> Several:
    """Several tasks on one encoder; the first is the headline.

    Parameters
    ----------
    tasks : mappings with ``name``, and where needed ``params`` (options of that task) and ``weight`` (of its loss,
        default 1), such as [{name: classification}, {name: regression, params: {targets: [las_arcsec]}, weight: 0.2}].
    """
    require(len(tasks) > 1, "task several: tasks", expected="at least two", got=len(tasks))
    parts, weights = [], []
    for entry in tasks:
        unknown = sorted(set(entry) - {"name", "params", "weight"})
        if "name" not in entry or unknown:
            got = f"the keys {sorted(entry)}"
            raise InputError("task several: tasks", expected="mappings of name, params and weight", got=got)
        weight = float(entry.get("weight", 1.0))
        require(weight > 0, f"task several: weight of {entry['name']}", expected="a number above 0", got=weight)
        parts.append(create_task(entry["name"], images, **(entry.get("params") or {})))
        weights.append(weight)
    dense = [part.name for part in parts if part.dense or part.name == "several"]
    if dense:
        raise InputError("task several: tasks", expected="tasks with one answer per source", got=dense[0])
    return Several(tuple(parts), tuple(weights))
