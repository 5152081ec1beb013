"""Probabilities of one read-out on one split, and the rows measured from them; no torch.

Legend: N sources, K classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from equirgz.data.imageset import ImageSet
from equirgz.metrics import compute_metrics


class Block:
    """Probabilities of one read-out on one split."""

    def __init__(self, readout: str, split: str, images: ImageSet, probability_NK: np.ndarray) -> None:
        self.readout, self.split, self.images, self.probability_NK = readout, split, images, probability_NK

    def dump(self) -> dict[str, Any]:
        """Return plain lists: source ids, targets (-1: no label) and probabilities."""
        return {
            "readout": self.readout,
            "split": self.split,
            "source_id": [str(source) for source in self.images.source_id_N],
            "target": self.images.label_N.tolist(),
            "probability": self.probability_NK.tolist(),
        }


def score(block: Block) -> list[dict[str, Any]]:
    """Return one row per metric over the labelled sources of a block (none where there are none)."""
    return score_dump({**block.dump(), "probability": block.probability_NK})


def score_dump(dump: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of :func:`score` for a block as :meth:`Block.dump` leaves it."""
    target_N = np.asarray(dump["target"])
    known_N = target_N >= 0
    if not known_N.any():
        return []
    metrics = compute_metrics(np.asarray(dump["probability"])[known_N], target_N[known_N])
    return [{"readout": dump["readout"], "split": dump["split"], **row} for row in metrics]


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
