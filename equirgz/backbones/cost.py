"""What a network costs: parameters, multiply-adds and activation memory, counted, not estimated."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from equirgz.backbones.base import Backbone, count_parameters
from equirgz.backbones.reference.convert import native_twin
from equirgz.nn.multiply_adds import count_multiply_adds


@torch.no_grad()
def measure_cost(backbone: Backbone) -> dict[str, int]:
    """Return the cost of one image through ``backbone`` in its expanded, ordinary form; layers that are
    block-diagonal in irreps cost what their blocks do.

    Keys: ``parameters`` (trainable numbers), ``multiply_adds`` (of all convolutions, linear layers and
    attention products, dense) and ``activation_bytes`` (outputs of every layer, and what it
    keeps besides by its ``activation_bytes``, float32). A network of a reference engine costs what its native
    twin does.
    """
    backbone = native_twin(backbone)
    totals = {"multiply_adds": 0, "activation_bytes": 0}

    def count(module: nn.Module, inputs: tuple, output: object) -> None:
        if not isinstance(output, torch.Tensor):
            return
        totals["activation_bytes"] += 4 * output.numel()
        if hasattr(module, "activation_bytes"):
            totals["activation_bytes"] += module.activation_bytes()
        totals["multiply_adds"] += count_multiply_adds(module, inputs[0], output)

    handles = [m.register_forward_hook(count) for m in dict.fromkeys(_counted(backbone))]
    was_training = backbone.training
    try:
        backbone.eval()
        parameter = next(backbone.parameters())
        backbone(backbone.make_example(1).to(parameter))
    finally:
        backbone.train(was_training)
        for handle in handles:
            handle.remove()
    return {"parameters": count_parameters(backbone), **totals}


def _counted(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the layers that are counted whole: those that know their cost, and those without children."""
    if hasattr(module, "multiply_adds") or not any(True for _ in module.children()):
        yield module
    else:
        for child in module.children():
            yield from _counted(child)
