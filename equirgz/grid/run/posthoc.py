"""What follows from finished predictions without the network: recalibrated probabilities.

Legend: N sources, K classes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from equirgz.grid.run.blocks import Block
from equirgz.metrics.calibration.recalibration import Recalibration, fit_recalibration, metric_of
from equirgz.metrics.check import UndefinedMetricError

logger = logging.getLogger("equirgz")
FLOOR = 1e-12  # smallest probability whose logarithm is taken


def to_logits(probability_NK: np.ndarray) -> np.ndarray:
    """Return ``ln max(p, 1e-12)``: logits whose softmax is p (also of a mean over predictive samples)."""
    return np.log(np.maximum(np.asarray(probability_NK, dtype=np.float64), FLOOR))


def recalibrate_blocks(blocks: Iterable[Block], names: Iterable[str]) -> tuple[list[Block], list[dict[str, Any]]]:
    """Return the network's blocks as each of ``names`` mends them, fitted on its validation block, and a row of each.

    Test sources are mended, never fitted on. Where the validation sources fix no such fit (all right, all of one
    class, none with a label) there is no block of it and the row has no value: the cells are missing, not invented.
    """
    network = {block.split: block for block in blocks if block.readout == "network"}
    val = network.pop("val")
    known_N = val.task.known(val.kept["target"])
    mended, rows = [], []
    for name in names:
        found = _fit(name, val.kept["probability"][known_N], val.kept["target"][known_N])
        if found is not None:
            mended += [_mend(block, name, found) for block in network.values()]
        value, unit = (None, "1" if name == "temperature" else "nat") if found is None else (found.value, found.unit)
        rows.append(
            {
                "readout": name,
                "split": "val",
                "metric": metric_of(name),
                "angle_deg": None,
                "value": value,
                "unit": unit,
                "direction": "none",
                "n": int(known_N.sum()),
            }
        )
    return mended, rows


def _fit(name: str, probability_NK: np.ndarray, target_N: np.ndarray) -> Recalibration | None:
    if not len(target_N):
        return None
    try:
        return fit_recalibration(name, to_logits(probability_NK), target_N)
    except UndefinedMetricError as error:
        logger.warning("read-out %s: %s", name, error)
        return None


def _mend(block: Block, name: str, found: Recalibration) -> Block:
    probability_NK = found.apply(to_logits(block.kept["probability"]))
    return replace(block, readout=name, kept={**block.kept, "probability": probability_NK})
