"""What is frozen stays as it is: which layers rest while the others learn, and in which precision they do.

A layer is frozen when it has parameters and none of them takes a gradient. Its dropout and the running
statistics of its norms rest with its weights. Adapters (``torch.nn.utils.parametrize``) on frozen weights
are parameters of their layer as any other, so that a layer with an adapter learns.
"""

from __future__ import annotations

import torch
from torch import nn


def rest_frozen_layers(module: nn.Module) -> None:
    """Put every frozen layer below ``module``, with all that it holds, in eval mode."""
    parameters = list(module.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        module.eval()
        return
    for child in module.children():
        rest_frozen_layers(child)


def copy_modes(target: nn.Module, source: nn.Module) -> None:
    """Give every layer of ``target``, a copy of ``source``, the mode of its original."""
    for own, other in zip(target.modules(), source.modules(), strict=True):
        own.training = other.training


def convert_precision(module: nn.Module, dtype: torch.dtype) -> str | None:
    """Bring ``module`` to ``dtype`` in place; return a line that says so, or None where it had it already."""
    found = {t.dtype for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()}
    if found <= {dtype}:
        return None
    module.to(dtype)
    names = " and ".join(sorted(str(other).removeprefix("torch.") for other in found - {dtype}))
    return f"weights in {names} were brought to {str(dtype).removeprefix('torch.')}, the precision of the training"
