"""What convolutions cost on this machine, in multiples of the formula of :mod:`equirgz.nn.cpu.path_choice`.

1 unless they were measured here (``equirgz doctor --measure``), which is kept in the cache with the name of the
machine: processor, torch and kernels. What was measured elsewhere is left out with one line. The costs choose between
ways to the same numbers, so they change a result by rounding only; they are read once in a process, and never measured
in a run.
"""

from __future__ import annotations

import logging
import math
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import torch

from equirgz.data.cache import cache_dir
from equirgz.errors import EquirgzError, ResultsError
from equirgz.kernels import load_kernels
from equirgz.provenance import describe_device
from equirgz.records import read_json, write_json_atomic

logger = logging.getLogger("equirgz")


@dataclass(frozen=True)
class Costs:
    """Measured over modelled time of the expanded convolution, the factored one, and the expanded one in bfloat16."""

    dense: float = 1.0
    fourier: float = 1.0
    half: float = 1.0


def costs_file() -> Path:
    """Return where the costs of this machine are kept; it need not exist."""
    return cache_dir() / "convolution_costs.json"


def name_machine() -> str:
    """Return what the costs depend on."""
    return f"{describe_device()['processor']}, torch {torch.__version__}, kernels {load_kernels() or 'of torch'}"


@cache
def load_costs() -> Costs:
    """Return the costs that were measured on this machine, else those of the formula."""
    path = costs_file()
    if not path.is_file():
        return Costs()
    try:
        found = read_json(path)
        machine, costs = str(found["machine"]), Costs(**{key: float(value) for key, value in found["costs"].items()})
        complete = found["costs"].keys() == asdict(costs).keys()
        if not (complete and all(math.isfinite(value) and value > 0 for value in asdict(costs).values())):
            raise ValueError("expected a positive number for each way")
    except (EquirgzError, OSError, KeyError, TypeError, ValueError, AttributeError):
        return _leave_out("expected the costs of convolutions, got something else")
    if machine != name_machine():
        return _leave_out(f"it was measured on {machine}; this is {name_machine()}")
    return costs


def _leave_out(why: str) -> Costs:
    text = f"{costs_file()} was left out: {why}; `equirgz doctor --measure` makes it anew"
    logger.warning(" ".join(text.split()))
    return Costs()


def save_costs(costs: Costs) -> Path:
    """Keep the costs for this machine, and use them in this process too; ResultsError where it cannot be written."""
    path = costs_file()
    try:
        write_json_atomic(path, {"machine": name_machine(), "costs": asdict(costs)})
    except OSError as error:
        raise ResultsError(f"{path}: cannot be written: {error}; set EQUIRGZ_CACHE to a writable folder") from error
    load_costs.cache_clear()
    return path
