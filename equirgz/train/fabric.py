"""Lightning Fabric, which brings devices, precisions and processes, set up for one training."""

from __future__ import annotations

import warnings

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from lightning_fabric.strategies import DDPStrategy

from equirgz.errors import InputError


def make_fabric(precision: str = "32-true", device: str = "auto", processes: int = 1) -> Fabric:
    """Return a Fabric on ``device``: "cpu", "cuda", "cuda:1", or "auto", a GPU where there is one.

    With several ``processes`` (one per GPU, or on one CPU over gloo) call its ``launch()`` before
    anything else: it starts the running script once more for each. Gradients are then averaged by DDP,
    which is told that some objectives leave parameters unused in some steps. One process is one process, also on a
    host or in a job of SLURM: its variables are not looked at.
    Raises InputError for less than one process, and for several on one numbered GPU.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    accelerator, _, index = device.partition(":")
    if processes < 1 or (processes > 1 and index):
        wanted = f"1 on {device}, which is one GPU" if index else "at least 1"
        raise InputError("processes", expected=wanted, got=processes)
    strategy = "auto" if processes == 1 else DDPStrategy(find_unused_parameters=True)
    one = [int(index or 0)] if accelerator == "cuda" else 1
    devices = one if processes == 1 else processes
    plugins = [LightningEnvironment()] if processes == 1 else None
    with warnings.catch_warnings():  # a host with SLURM is no reason to start with srun: we start the processes
        warnings.filterwarnings("ignore", "The `srun` command is available")
        return Fabric(accelerator=accelerator, devices=devices, strategy=strategy, precision=precision, plugins=plugins)


def is_first_process() -> bool:
    """Return whether this is the one process, or the first of those that a training started."""
    return not (dist.is_available() and dist.is_initialized()) or dist.get_rank() == 0
