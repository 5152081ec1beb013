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


@dataclass(frozen=True)
class Named:
    """What a task is made from: the names of a training set, which reports know too."""

    name: str
    class_names: tuple[str, ...] = ()
    map_names: tuple[str, ...] = ()


class Targets(Protocol):
    """The part of an image set that tasks read: labels, a table, the images, and maps in register with them."""

    name: str
    label_N: np.ndarray
    class_names: tuple[str, ...]
    table: pd.DataFrame
    map_NKHW: np.ndarray | None
    map_names: tuple[str, ...]

    @property
    def x_NCHW(self) -> np.ndarray: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Headline:
    """The one number that tables, figures and tests of a task are about, in words.

    Attributes
    ----------
    metric : its name in the rows.
    short : one word, in names of figures: "error".
    title : in words, as tables are headed: "Error".
    unit, direction : of the metric.
    axis : label of an axis, with the unit: "test error (%)".
    per_source : what one source adds to it, ``Task.loss_per_source``, which paired tests compare, lower being
        better: "error".
    per_source_words : the name or unit of that, in brackets behind it: "error/rate in %".
    """

    metric: str
    short: str
    title: str
    unit: str
    direction: Literal["lower", "higher"]
    axis: str
    per_source: str
    per_source_words: str

    @property
    def per_source_unit(self) -> str:
        """Unit of what one source adds: that of the metric where lower is better, else none."""
        return self.unit if self.direction == "lower" else "1"


class Task(ABC):
    """Base of all tasks; an instance knows what the training set says of its targets (names, units, questions).

    Attributes
    ----------
    name : the registered name.
    dense : whether an answer has a value per pixel, so that heads read maps and views turn the targets too.
    categorical : whether an answer is one distribution over classes, so that calibration, selective prediction,
        temperature, McNemar's test and curves of confidence apply.
    read_as : what probes of frozen features predict: "classes", "numbers" or "tags"; None: there is no probe for it.
    kept : name -> prefix of the columns under which an answer is stored, such as {"probability": "p"}; the targets
        come first. An array (N,) has the prefix itself for its column, an array (N, T) one with each number from 0.
    averaged : the one of ``kept`` that holds answers whose mean over networks is an answer too (:meth:`average`).
    titles : metric -> its title in tables; other metrics are titled by their names.
    """

    name: ClassVar[str]
    dense: ClassVar[bool] = False
    categorical: ClassVar[bool] = False
    read_as: ClassVar[str | None] = None
    kept: ClassVar[dict[str, str]] = {}
    averaged: ClassVar[str | None] = None
    titles: ClassVar[dict[str, str]] = {}

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """How many numbers the head gives, per source or, where dense, per pixel."""

    @property
    @abstractmethod
    def headline(self) -> Headline:
        """The number that stands for the task."""

    @property
    def shown(self) -> tuple[str, ...]:
        """The metrics that tables and pages show first, the headline before all others."""
        return (self.headline.metric,)

    @property
    def circular(self) -> tuple[str, ...]:
        """Names of the targets that are angles or phases: training refuses views that turn the images of such."""
        return ()

    @abstractmethod
    def has_targets(self, images: Targets) -> bool:
        """Return whether a set says what is asked; one that does not is answered for, and not scored."""

    @abstractmethod
    def targets(self, images: Targets) -> np.ndarray:
        """Return the targets of a set, checked, first axis N; DataError names what the set lacks."""

    @abstractmethod
    def no_targets(self, n: int, size: int) -> np.ndarray:
        """Return the targets of ``n`` sources (of ``size`` pixels a side) of which nothing is known."""

    @abstractmethod
    def known(self, target_N: np.ndarray) -> np.ndarray:
        """Return which sources have a target at all, bool (N,)."""

    @abstractmethod
    def check(self, target_N: np.ndarray) -> None:
        """Raise InputError unless a network can learn from these targets."""

    def decode(self, mean_N: np.ndarray) -> np.ndarray:
        """Return answers from the mean of a head's outputs over networks, draws and views; as they are by default."""
        return mean_N

    def average(self, answer_MN: np.ndarray) -> np.ndarray:
        """Return the answers of the ensemble of M networks."""
        return answer_MN.mean(0)

    @abstractmethod
    def keep(self, answer_N: np.ndarray, target_N: np.ndarray) -> Kept:
        """Return what is stored of each source: arrays whose first axis is N, enough for all scores."""

    @abstractmethod
    def score(self, kept: Kept) -> list[Row]:
        """Return a row (metric, value, unit, direction, n) per number, over the sources that have targets."""

    @abstractmethod
    def loss_per_source(self, kept: Kept) -> np.ndarray:
        """Return (N,) what each source adds to the headline, NaN without a target; lower is better."""

    def select(self, kept: Kept, chosen_N: np.ndarray) -> Kept:
        """Return what is stored of the chosen sources (an index or a boolean array)."""
        return {name: array[chosen_N] for name, array in kept.items()}

    def strata(self, images: Targets) -> np.ndarray:
        """Return the classes that a split balances, (N,): labels, 0 for sources without one, -1 without a target."""
        known_N = self.known(self.targets(images))
        return np.where(known_N, np.maximum(np.asarray(images.label_N), 0), -1)


TASKS: Registry[Callable[..., Task]] = Registry(
    "task",
    tuple(
        f"equirgz.tasks.{name}"
        for name in (
            "classification",
            "votes",
            "regression",
            "multilabel",
            "segmentation",
            "image_to_image",
            "denoising",
            "several",
        )  # fmt: skip
    ),
)


def list_tasks(pattern: str = "*") -> list[str]:
    """Return the names of the registered tasks that match a shell-style pattern."""
    return TASKS.names(pattern)


def create_task(name: str, images: Named | Targets, **params: Any) -> Task:
    """Return the task ``name`` for the training set ``images``; InputError for an unknown name or option.

    Of the set its names alone are read, so that a report makes the same task from what is stored.
    """
    return call_checked(f"task {name!r}", TASKS.get(name), images, **params)


def make_row(metric: str, value: float | None, unit: str, direction: str, n: int) -> Row:
    """Return one measured number; None where it does not exist for this input."""
    number = None if value is None or not np.isfinite(value) else float(value)
    return {"metric": metric, "value": number, "unit": unit, "direction": direction, "n": int(n)}


def has_columns(images: Targets, names: tuple[str, ...] | list[str]) -> bool:
    """Return whether the table of a set has all the columns ``names``."""
    return all(name in images.table.columns for name in names)
