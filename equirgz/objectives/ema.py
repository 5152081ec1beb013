"""Exponential moving averages of modules, BatchNorm buffers included."""

from __future__ import annotations

import math

import torch
from torch import nn

from equirgz.backbones.wrapped import copy_network
from equirgz.errors import InputError, require


def make_target(module: nn.Module) -> nn.Module:
    """Return a copy of ``module`` that no gradient reaches."""
    return copy_network(module).requires_grad_(False)


@torch.no_grad()
def update_ema(target: nn.Module, source: nn.Module, momentum: float) -> None:
    """Move ``target`` towards ``source``: ``t <- momentum t + (1 - momentum) s``.

    Holds for all parameters and all floating-point buffers (BatchNorm's running statistics among
    them); other buffers, such as counters, are copied. Momentum 1 changes nothing, 0 copies.
    Raises InputError when the two modules are not alike.
    """
    pairs = [*_pairs(target.parameters(), source.parameters()), *_pairs(target.buffers(), source.buffers())]
    moved = [(t, s.to(t.dtype)) for t, s in pairs if t.is_floating_point()]
    if moved:
        torch._foreach_lerp_(*map(list, zip(*moved, strict=True)), 1 - momentum)  # one kernel for all on a GPU
    for t, s in pairs:
        if not t.is_floating_point():
            t.copy_(s)


def _pairs(targets, sources) -> list[tuple[torch.Tensor, torch.Tensor]]:
    targets, sources = list(targets), list(sources)
    if [t.shape for t in targets] != [s.shape for s in sources]:
        raise InputError("EMA: target and source differ in architecture; copy the source to make the target")
    return list(zip(targets, sources, strict=True))


def cosine_momentum(base: float, step: int, n_steps: int) -> float:
    """Return ``1 - (1 - base) (cos(pi step / n_steps) + 1) / 2``: from ``base`` to 1 (arXiv 2006.07733)."""
    require(0 <= base <= 1, "base_momentum", expected="a number in [0, 1]", got=base)
    return 1 - (1 - base) * (math.cos(math.pi * step / n_steps) + 1) / 2
