"""Answers of one read-out on one split, and the rows measured from them; no torch. Legend: N sources, K classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from equirgz.tasks import Task
from equirgz.tasks.base import Kept
from equirgz.tasks.stored import dump_kept, load_kept


@dataclass(frozen=True)
class Block:
    """What is kept of the answers of one read-out on one split, as the task keeps them."""

    readout: str
    split: str
    source_id_N: np.ndarray
    task: Task
    kept: Kept

    def dump(self) -> dict[str, Any]:
        """Return plain lists: source ids, and what is kept, of classes targets (-1: no label) and probabilities."""
        source_ids = [str(source) for source in self.source_id_N]
        return {"readout": self.readout, "split": self.split, "source_id": source_ids, **dump_kept(self.kept)}


def score(block: Block) -> list[dict[str, Any]]:
    """Return one row per metric over the sources of a block that have targets (none where there are none)."""
    return [{"readout": block.readout, "split": block.split, **row} for row in block.task.score(block.kept)]


def score_dump(task: Task, dump: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of :func:`score` for a block as :meth:`Block.dump` leaves it."""
    place = {key: dump[key] for key in ("readout", "split")}
    return [{**place, **row} for row in task.score(load_kept(task, dump))]


def meter_rows(log: dict[str, Any], n: int) -> list[dict[str, Any]]:
    """Return a row ``train/NAME`` per meter that the training logged; ``n`` is the number of unlabelled sources."""
    return [
        {
            "readout": "network",
            "split": "train",
            "metric": f"train/{name}",
            "value": value,
            "unit": "1",
            "direction": "none",
            "n": n,
        }
        for name, value in log["meters"].items()
    ]
