"""How long convolutions take on this machine, against the formula that chooses between their two ways."""

from __future__ import annotations

import time
from statistics import median

import torch

from equirgz.geometry.field_type import FieldType
from equirgz.kernels import load_kernels
from equirgz.nn import GroupConv2d
from equirgz.nn.cpu.machine_costs import Costs
from equirgz.nn.cpu.path_choice import dense_ns, fourier_ns
from equirgz.train.memory import keep_freed_memory

WAYS = {"dense": ("dense", False), "fourier": ("fourier", False), "half": ("dense", True)}  # path, in bfloat16
# Group, fields in, fields out, kernel, side of the map: of networks of the field, where both ways cost alike.
LAYERS = (
    ("D4", 6, 16, 5, 37), ("D8", 6, 16, 5, 29), ("D16", 4, 8, 5, 17), ("C8", 8, 16, 5, 37), ("C16", 6, 8, 5, 33),
    ("D4", 16, 16, 3, 17), ("D8", 8, 8, 3, 17), ("D4", 32, 32, 3, 9),
)  # fmt: skip
IMAGES = 4


def measure_costs(rounds: int = 3) -> Costs:
    """Return the medians over :data:`LAYERS` of measured over modelled time, forwards and backwards, on one thread.

    The ways take turns, and the shortest of ``rounds`` counts, in seconds of the processor, so that others who use it
    slow both alike. About ten seconds on a quiet machine.
    """
    keep_freed_memory()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = [_measure(*layer, rounds=rounds) for layer in LAYERS]
    finally:
        torch.set_num_threads(threads)
    return Costs(*(median(factors) for factors in zip(*found, strict=True)))


def _measure(name: str, in_fields: int, out_fields: int, kernel: int, side: int, *, rounds: int) -> tuple[float, ...]:
    types = (FieldType.regular(name, count) for count in (in_fields, out_fields))
    conv = GroupConv2d(*types, kernel)
    x = torch.randn(IMAGES, conv.in_channels, side, side, requires_grad=True)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for way in [*WAYS] * (rounds + 1):  # the first round makes what is kept
        conv.path, half = WAYS[way]
        start = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            y = conv(x)
        y.float().sum().backward()
        seconds[way].append(time.process_time() - start)
    sizes = (conv.group, in_fields, out_fields, kernel)
    compiled = load_kernels() is not None
    modelled = (
        dense_ns(*sizes, side * side),
        fourier_ns(*sizes, len(conv.basis), side * side, compiled=compiled),
        dense_ns(*sizes, side * side, half=True),
    )
    measured = (1e9 * min(times[1:]) / IMAGES for times in seconds.values())
    return tuple(a / b for a, b in zip(measured, modelled, strict=True))
