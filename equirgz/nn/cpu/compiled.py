"""What the optional C library needs to know of a factored convolution (:mod:`equirgz.kernels`)."""

from __future__ import annotations

import ctypes

import numpy as np
import torch
from torch import Tensor

from equirgz.kernels import Kernels, load_kernels
from equirgz.nn.cpu.fourier_plan import Combination


class SlabCall(ctypes.Structure):
    """The arguments of one slab."""

    _fields_ = [
        *((name, ctypes.c_int) for name in ("slots", "flips", "fields", "images", "height", "width", "kernel")),
        *((name, ctypes.c_int) for name in ("start", "rows", "columns", "filters")),
        *((name, ctypes.c_void_p) for name in ("filter", "first", "sums")),
    ]


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

    def call(self, filters_KP: Tensor, **sizes: int) -> SlabCall:
        """Return the arguments of one slab; ``filters_KP`` and the table must outlive it."""
        return SlabCall(
            filters=len(filters_KP), filter=filters_KP.data_ptr(), first=self.first.ctypes.data,
            sums=self.sums.ctypes.data, **sizes,
        )  # fmt: skip


def kernels_for(dtype: torch.dtype, kernel_size: int, stride: int) -> Kernels | None:
    """Return the library where it does such convolutions, else None."""
    able = dtype == torch.float32 and stride == 1 and kernel_size in (3, 5, 7)
    return load_kernels() if able else None
