"""What every task is: what a target is, how an answer is kept, and which numbers score it.

Legend: N sources.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import pandas as pd

from equirgz.registry import Registry, call_checked

Row = dict[str, Any]
Kept = dict[str, np.ndarray]


class Targets(Protocol):
    """The part of an image set that tasks read: labels, a table, and maps in register with the images."""

    name: str
    label_N: np.ndarray
    class_names: tuple[str, ...]
    table: pd.DataFrame
    map_NKHW: np.ndarray | None
    map_names: tuple[str, ...]

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Headline:
    """The one number that tables, figures and tests of a task are about, in words.

    ``per_source`` is what one source adds to it, such as "share of wrong answers": the mean of
    :meth:`Task.loss_per_source`, which paired tests compare, where a lower value is better.
    """

    metric: str
    title: str
    unit: str
    direction: Literal["lower", "higher"]
    per_source: str


class Task(ABC):
    """Base of all tasks; an instance knows what the training set says of its targets (names, units, questions).

    Attributes
    ----------
    name : the registered name.
    dense : whether an answer has a value per pixel, so that heads read maps and views turn the targets too.
    kept : name -> prefix of the columns under which an answer is stored, such as {"probability": "p"}.
    """

    name: ClassVar[str]
    dense: ClassVar[bool] = False
    kept: ClassVar[dict[str, str]] = {}

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """How many numbers the head gives, per source or, where dense, per pixel."""

    @property
    @abstractmethod
    def headline(self) -> Headline:
        """The number that stands for the task."""

    @abstractmethod
    def targets(self, images: Targets) -> np.ndarray:
        """Return the targets of a set, checked, first axis N; DataError names what the set lacks."""

    @abstractmethod
    def known(self, target_N: np.ndarray) -> np.ndarray:
        """Return which sources have a target at all, bool (N,)."""

    @abstractmethod
    def check(self, target_N: np.ndarray) -> None:
        """Raise InputError unless a network can learn from these targets."""

    @abstractmethod
    def keep(self, answer_N: np.ndarray, target_N: np.ndarray) -> Kept:
        """Return what is stored of each source: arrays whose first axis is N, enough for all scores."""

    @abstractmethod
    def score(self, kept: Kept) -> list[Row]:
        """Return a row (metric, value, unit, direction, n) per number, over the sources that have targets."""

    @abstractmethod
    def loss_per_source(self, kept: Kept) -> np.ndarray:
        """Return (N,) what each source adds to the headline, NaN without a target; lower is better."""


TASKS: Registry[Callable[..., Task]] = Registry(
    "task",
    tuple(
        f"equirgz.tasks.{name}"
        for name in ("classification", "votes", "regression", "multilabel", "segmentation", "image_to_image")
    ),
)


def list_tasks(pattern: str = "*") -> list[str]:
    """Return the names of the registered tasks that match a shell-style pattern."""
    return TASKS.names(pattern)


def create_task(name: str, images: Targets, **params: Any) -> Task:
    """Return the task ``name`` for the training set ``images``; InputError for an unknown name or option."""
    return call_checked(f"task {name!r}", TASKS.get(name), images, **params)


def make_row(metric: str, value: float | None, unit: str, direction: str, n: int) -> Row:
    """Return one measured number; None where it does not exist for this input."""
    number = None if value is None or not np.isfinite(value) else float(value)
    return {"metric": metric, "value": number, "unit": unit, "direction": direction, "n": int(n)}
