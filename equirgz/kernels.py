"""The optional C library for CPUs, through ctypes: found, checked, or left out with one line.

It is built with the package where there is a compiler (``setup.py``; sources in ``equirgz/nn/cpu/kernels``) and
computes, to rounding, what torch does without it: the basis maps of :mod:`equirgz.nn.cpu.slabs`, the pooling of
:mod:`equirgz.nn.cpu.max_blur`, the turns of :mod:`equirgz.geometry.sampler`. ``EQUIRGZ_KERNELS`` is "off", or the path
of another library; a library of another version is ignored, and torch does the work.
"""

from __future__ import annotations

import ctypes
import logging
import os
from functools import cache
from pathlib import Path
from typing import Any

VERSION = 2  # of the arguments, as equirgz_kernels_version() says
VARIANTS = ("plain C", "AVX2", "AVX-512")

logger = logging.getLogger("equirgz")


class Kernels:
    """The loaded library; ``variant`` indexes :data:`VARIANTS`, the best of this processor unless set."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library
        self.variant = int(library.equirgz_best_variant())

    def __str__(self) -> str:
        return f"compiled, {VARIANTS[self.variant]}"

    def run(self, name: str, call: ctypes.Structure, *tensors: Any) -> None:
        """Call ``equirgz_<name>`` on one thread with its sizes and contiguous tensors, results last.

        Other threads run meanwhile. Raises MemoryError where there is none.
        """
        pointers = (ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors)
        if getattr(self.library, f"equirgz_{name}")(ctypes.byref(call), ctypes.c_int(self.variant), *pointers):
            raise MemoryError(f"no memory for the kernel {name}")


@cache
def load_kernels() -> Kernels | None:
    """Return the library, or None where there is none, it is switched off, or it is not of this version."""
    chosen = os.environ.get("EQUIRGZ_KERNELS", "")
    if chosen == "off":
        return None
    found = [Path(chosen)] if chosen else sorted((Path(__file__).parent / "nn" / "cpu").glob("_kernels*"))
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
