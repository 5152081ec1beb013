"""What follows from finished predictions without the network: temperature-scaled probabilities.

Legend: N sources, K classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from equirgz.config import RunConfig
from equirgz.errors import InputError
from equirgz.grid.blocks import Block
from equirgz.metrics.temperature import Temperature, apply_temperature, fit_temperature

FLOOR = 1e-12  # smallest probability whose logarithm is taken


def check_temperature(config: RunConfig) -> None:
    """Raise InputError where the read-out ``temperature`` is asked for without validation sources or network."""
    if "temperature" not in config.evaluation.readouts:
        return
    if config.split.n_val == 0:
        raise InputError(
            "evaluation.readouts: temperature: expected validation sources to fit it on, got none; set split.n_val"
        )
    if "network" not in config.evaluation.readouts:
        raise InputError(
            "evaluation.readouts: temperature: expected network beside it, got none; add network"
        )


def to_logits(probability_NK: np.ndarray) -> np.ndarray:
    """Return ``ln max(p, 1e-12)``: logits whose softmax is p (also of a mean over predictive samples)."""
    return np.log(np.maximum(np.asarray(probability_NK, dtype=np.float64), FLOOR))


def fit_on_validation(probability_NK: np.ndarray, target_N: np.ndarray) -> tuple[float, Temperature]:
    """Return the temperature to use, and the fit; 1 where the validation sources do not fix it.

    They do not where every one is right (the fit runs to 0) or the network knows nothing (to infinity).
    """
    fit = fit_temperature(to_logits(probability_NK), target_N)
    return (1.0 if fit.at_bound else fit.value), fit


def scale_blocks(blocks: Iterable[Block]) -> tuple[list[Block], list[dict[str, Any]]]:
    """Return the network's blocks scaled by the temperature of its validation block, and its row.

    Test sources are scaled, never fitted on.
    """
    network = {block.split: block for block in blocks if block.readout == "network"}
    val = network.pop("val")
    known_N = val.images.label_N >= 0
    temperature, fit = fit_on_validation(val.probability_NK[known_N], val.images.label_N[known_N])
    scaled = [
        Block(
            "temperature",
            split,
            block.images,
            apply_temperature(to_logits(block.probability_NK), temperature),
        )
        for split, block in network.items()
    ]
    row = {
        "readout": "temperature",
        "split": "val",
        "metric": "calibration/temperature",
        "angle_deg": None,
        "value": temperature,
        "unit": "1",
        "direction": "none",
        "n": fit.n,
    }
    return scaled, [row]
