"""What a network costs: parameters, multiply-adds and activation memory, counted, not estimated."""

from __future__ import annotations

import torch
from torch import nn

from equirgz.backbones.base import Backbone, count_parameters
from equirgz.backbones.reference.convert import native_twin
from equirgz.nn import GroupConv2d
from equirgz.nn.conv.trivial import TrivialConv2d


@torch.no_grad()
def measure_cost(backbone: Backbone) -> dict[str, int]:
    """Return the cost of one image through ``backbone`` in its expanded, ordinary form.

    Keys: ``parameters`` (trainable numbers), ``multiply_adds`` (of all convolutions, linear layers and
    attention products, dense) and ``activation_bytes`` (outputs of every leaf module, and what a leaf
    declares besides in its ``cost``, float32). A network of a reference engine costs what its native
    twin does.
    """
    backbone = native_twin(backbone)
    totals = {"multiply_adds": 0, "activation_bytes": 0}

    def count(module: nn.Module, inputs: tuple, output: object) -> None:
        if not isinstance(output, torch.Tensor):
            return
        totals["activation_bytes"] += 4 * output.numel()
        for key, amount in getattr(module, "cost", {}).items():
            totals[key] += amount
        if isinstance(module, GroupConv2d | TrivialConv2d | nn.Conv2d):
            groups = getattr(module, "groups", 1)
            taps = (
                module.kernel_size**2 if isinstance(module.kernel_size, int) else module.kernel_size[0] ** 2
            )
            totals["multiply_adds"] += output.numel() * inputs[0].shape[1] // groups * taps
        elif isinstance(module, nn.Linear):
            totals["multiply_adds"] += output.numel() * module.in_features

    leaves = [m for m in backbone.modules() if not any(True for _ in m.children())]
    handles = [m.register_forward_hook(count) for m in leaves]
    was_training = backbone.training
    try:
        backbone.eval()
        parameter = next(backbone.parameters())
        size = backbone.image_size
        backbone(
            torch.zeros(1, backbone.in_channels, size, size, dtype=parameter.dtype, device=parameter.device)
        )
    finally:
        backbone.train(was_training)
        for handle in handles:
            handle.remove()
    return {"parameters": count_parameters(backbone), **totals}
