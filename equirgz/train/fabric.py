"""Lightning Fabric, which brings devices, precisions and processes, set up for one training."""

from __future__ import annotations

import os
import platform
import warnings
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

from equirgz.errors import InputError, check_choice

if TYPE_CHECKING:  # over a second, for all of torch's compiler: only for those who train
    from lightning_fabric import Fabric


def make_fabric(precision: str = "32-true", device: str = "auto", processes: int = 1) -> Fabric:
    """Return a Fabric on ``device``: "cpu", "cuda", "cuda:1", or "auto", a GPU where there is one.

    With several ``processes`` (one per GPU, or on one CPU over gloo) call its ``launch()`` before
    anything else: it starts the running script once more for each. Gradients are then averaged by DDP,
    which is told that some objectives leave parameters unused in some steps. One process is one process, also on a
    host or in a job of SLURM: its variables are not looked at.
    Raises InputError for less than one process, for several on one numbered GPU, and for bf16-mixed on a CPU that
    has no such instructions, where it would be slower than float32: unless the environment says what to do,
    ``EQUIRGZ_BF16=float32`` (compute in 32-true) or ``EQUIRGZ_BF16=emulate`` (the same numbers, slowly).
    """
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import LightningEnvironment
    from lightning_fabric.strategies import DDPStrategy

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    accelerator, _, index = device.partition(":")
    if processes < 1 or (processes > 1 and index):
        wanted = f"1 on {device}, which is one GPU" if index else "at least 1"
        raise InputError("processes", expected=wanted, got=processes)
    if precision == "bf16-mixed" and accelerator == "cpu":
        precision = _cpu_precision()
    strategy = "auto" if processes == 1 else DDPStrategy(find_unused_parameters=True)
    one = [int(index or 0)] if accelerator == "cuda" else 1
    devices = one if processes == 1 else processes
    plugins = [LightningEnvironment()] if processes == 1 else None
    with warnings.catch_warnings():  # a host with SLURM is no reason to start with srun: we start the processes
        warnings.filterwarnings("ignore", "The `srun` command is available")
        return Fabric(accelerator=accelerator, devices=devices, strategy=strategy, precision=precision, plugins=plugins)


def _cpu_precision() -> str:
    asked = os.environ.get("EQUIRGZ_BF16", "")
    check_choice("EQUIRGZ_BF16", asked, ("", "float32", "emulate"))
    if asked == "emulate" or cpu_has_bf16():
        return "bf16-mixed"
    if asked == "float32":
        return "32-true"
    raise InputError(
        "precision bf16-mixed",
        expected="a CPU with bfloat16 instructions (AVX512-BF16, AMX or Arm's BF16)",
        got=f"{platform.processor() or platform.machine()} without",
        mend="use 32-true, or set EQUIRGZ_BF16=float32 to compute in it, or EQUIRGZ_BF16=emulate to go on slowly",
    )


def cpu_has_bf16() -> bool:
    """Return whether this CPU multiplies bfloat16 by instructions of its own, as far as torch says."""
    tests = [getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile")]
    if platform.machine().lower() in ("x86_64", "amd64") and any(tests):
        return any(test() for test in tests if test is not None)
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def precision_of(fabric: Fabric) -> str:
    """Return the precision that ``fabric`` computes in."""
    return str(fabric._precision.precision)


def is_first_process() -> bool:
    """Return whether this is the one process, or the first of those that a training started."""
    return not (dist.is_available() and dist.is_initialized()) or dist.get_rank() == 0
