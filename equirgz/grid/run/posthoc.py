"""What follows from finished predictions without the network: temperature-scaled probabilities.

Legend: N sources, K classes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from equirgz.grid.run.blocks import Block
from equirgz.metrics.calibration.temperature_scaling import apply_temperature, fit_temperature
from equirgz.metrics.check import UndefinedMetricError

logger = logging.getLogger("equirgz")
FLOOR = 1e-12  # smallest probability whose logarithm is taken


def to_logits(probability_NK: np.ndarray) -> np.ndarray:
    """Return ``ln max(p, 1e-12)``: logits whose softmax is p (also of a mean over predictive samples)."""
    return np.log(np.maximum(np.asarray(probability_NK, dtype=np.float64), FLOOR))


def scale_blocks(blocks: Iterable[Block]) -> tuple[list[Block], list[dict[str, Any]]]:
    """Return the network's blocks scaled by the temperature of its validation block, and its row.

    Test sources are scaled, never fitted on. Where the validation sources do not fix a temperature (all right, all of
    one class, none with a label) no block is scaled and the row has no value: the cells are missing, not invented.
    """
    network = {block.split: block for block in blocks if block.readout == "network"}
    val = network.pop("val")
    target_N, known_N = val.kept["target"], val.task.known(val.kept["target"])
    temperature, scaled = None, []
    if known_N.any():
        try:
            logits_NK = to_logits(val.kept["probability"][known_N])
            temperature = fit_temperature(logits_NK, target_N[known_N]).value
        except UndefinedMetricError as error:
            logger.warning("read-out temperature: %s", error)
    if temperature is not None:
        scaled = [_scale(block, temperature) for block in network.values()]
    row = {
        "readout": "temperature",
        "split": "val",
        "metric": "calibration/temperature",
        "angle_deg": None,
        "value": temperature,
        "unit": "1",
        "direction": "none",
        "n": int(known_N.sum()),
    }
    return scaled, [row]


def _scale(block: Block, temperature: float) -> Block:
    probability_NK = apply_temperature(to_logits(block.kept["probability"]), temperature)
    return replace(block, readout="temperature", kept={**block.kept, "probability": probability_NK})
