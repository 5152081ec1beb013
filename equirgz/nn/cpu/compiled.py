"""The optional C library of the factored convolution, through ctypes: found, checked, or left out with one line.

It is built with the package where there is a compiler (``setup.py``), and computes what
:mod:`equirgz.nn.cpu.slabs` computes with torch, to rounding. ``EQUIRGZ_KERNELS`` is "off", or the path of another
library; a library of another version is ignored, and torch does the work.
"""

from __future__ import annotations

import ctypes
import logging
import os
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from equirgz.nn.cpu.fourier_plan import Combination

VERSION = 1  # of the arguments, as equirgz_kernels_version() says
VARIANTS = ("plain C", "AVX2", "AVX-512")

logger = logging.getLogger("equirgz")


class _Call(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int) for name in ("slots", "flips", "fields", "images", "height", "width", "kernel")),
        *((name, ctypes.c_int) for name in ("start", "rows", "columns", "filters")),
        *((name, ctypes.c_void_p) for name in ("filter", "first", "sums")),
    ]


class Kernels:
    """The loaded library; ``variant`` indexes :data:`VARIANTS`, the best of this processor unless set."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library
        self.variant = int(library.equirgz_best_variant())
        for name in ("equirgz_basis_maps", "equirgz_spread"):
            getattr(library, name).argtypes = [ctypes.c_void_p, ctypes.c_int, *[ctypes.c_void_p] * 3]

    def __str__(self) -> str:
        return f"compiled, {VARIANTS[self.variant]}"

    def basis_maps(self, call: _Call, flat: Tensor, z: Tensor, edges: Tensor) -> None:
        """Write the basis maps of a slab."""
        self._run(self.library.equirgz_basis_maps, call, flat, z, edges)

    def spread(self, call: _Call, flat: Tensor, z: Tensor, edges: Tensor) -> None:
        """Add the gradients at the basis maps of a slab to those at the padded slots."""
        self._run(self.library.equirgz_spread, call, flat, z, edges)

    def _run(self, function, call: _Call, flat: Tensor, z: Tensor, edges: Tensor) -> None:
        if function(ctypes.byref(call), self.variant, flat.data_ptr(), z.data_ptr(), edges.data_ptr()):
            raise MemoryError("no memory for the rows of one slab")


class SumTable:
    """A plan's combinations, one line for each basis map, grouped by the (slot, flip) whose maps they need."""

    def __init__(
        self, combinations: tuple[Combination, ...], slots: int, flips: int, maps: int, edge_maps: int
    ) -> None:
        lines: list[list[list[int]]] = [[] for _ in range(slots * flips)]
        for sums in combinations:
            for step in range(sums.count):
                for ring in range(sums.last - sums.first):
                    for flip in range(flips)[sums.flips]:
                        first, second = [*sums.terms, None][:2]
                        if sums.edge:
                            index = (sums.out * 2 + sums.part) * edge_maps + sums.first + ring
                        else:
                            index = (sums.out - 1 + step) * maps + sums.first + ring
                        line = [int(sums.edge), index * flips + flip, sums.part]
                        line += [first.row + ring, first.part, first.sign]
                        line += [second.row + ring, second.part, second.sign] if second else [0, 0, 0]
                        lines[(first.slot + step) * flips + flip].append(line)
        self.first = np.cumsum([0, *map(len, lines)]).astype(np.intc)
        self.sums = np.array([line for group in lines for line in group], np.intc)

    def call(self, filters_KP: Tensor, **sizes: int) -> _Call:
        """Return the arguments of one slab; ``filters_KP`` and the table must outlive it."""
        return _Call(
            filters=len(filters_KP), filter=filters_KP.data_ptr(), first=self.first.ctypes.data,
            sums=self.sums.ctypes.data, **sizes,
        )  # fmt: skip


def kernels_for(dtype: torch.dtype, kernel_size: int, stride: int) -> Kernels | None:
    """Return the library where it does such convolutions, else None."""
    able = dtype == torch.float32 and stride == 1 and kernel_size in (3, 5, 7)
    return load_kernels() if able else None


@cache
def load_kernels() -> Kernels | None:
    """Return the library, or None where there is none, it is switched off, or it is not of this version."""
    chosen = os.environ.get("EQUIRGZ_KERNELS", "")
    if chosen == "off":
        return None
    found = [Path(chosen)] if chosen else sorted(Path(__file__).parent.glob("_kernels*"))
    for path in found:
        try:
            library = ctypes.CDLL(str(path))
            version = library.equirgz_kernels_version()
        except (OSError, AttributeError) as error:
            logger.warning(f"{path} was left out, torch does its work: {' '.join(str(error).split())}")
            continue
        if version == VERSION:
            return Kernels(library)
        logger.warning(f"{path} was left out, torch does its work: expected version {VERSION}, got {version}")
    return None
