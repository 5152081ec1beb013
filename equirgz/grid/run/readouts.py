"""Which read-outs a run may be asked for, and what each of them needs; no torch."""

from __future__ import annotations

from equirgz.config import RunConfig
from equirgz.errors import InputError, check_choice

READOUTS = ("network", "temperature", "probe", "knn", "linear_probe")


def check_readouts(config: RunConfig) -> None:
    """Raise InputError for an unknown read-out, or ``temperature`` without validation sources or network."""
    names = config.evaluation.readouts
    for name in names:
        check_choice("evaluation.readouts", name, READOUTS)
    if "temperature" not in names:
        return
    if config.split.n_val == 0:
        raise InputError(
            "evaluation.readouts: temperature: expected validation sources to fit it on, got none; set split.n_val"
        )
    if "network" not in names:
        raise InputError("evaluation.readouts: temperature: expected network beside it, got none; add network")
