"""Optimisers, parameter groups and the learning-rate schedule, a pure function of the step."""

from __future__ import annotations

import math

import torch
from torch import nn

from equirgz.config import OptimizerConfig
from equirgz.errors import InputError
from equirgz.objectives.base import Objective


def lr_factor(step: int, n_steps: int, warmup_steps: int = 0, schedule: str = "cosine") -> float:
    """Return the learning rate of update ``step`` (0-based) as a share of the configured one.

    With w = warmup_steps: ``(step + 1) / w`` for step < w, which reaches exactly 1 at the last
    warm-up update; afterwards 1 (``constant``) or ``(1 + cos(pi (step - w) / (n_steps - w))) / 2``.
    Raises InputError when the warm-up fills the whole training.
    """
    if warmup_steps >= n_steps and warmup_steps > 0:
        raise InputError("warmup_steps", expected=f"fewer than steps = {n_steps}", got=warmup_steps)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / (n_steps - warmup_steps)))


def make_parameter_groups(objective: Objective, config: OptimizerConfig) -> list[dict]:
    """Return optimiser groups of the trainable parameters, each with ``lr_scale`` and ``weight_decay``.

    Norms, biases and other vectors do not decay, nor what ``objective.no_weight_decay`` names.
    Block i of L (from the bottom) has ``lr_scale = layer_decay ** (L - 1 - i)``; heads have 1, and
    parameters of the backbone outside its blocks that of the bottom block. Parameters without
    ``requires_grad``, and those of ``objective.frozen_parts()``, are in no group.

    Raises InputError where nothing can be trained, and for pre-training with a frozen backbone.
    """
    frozen = {id(p) for part in objective.frozen_parts() for p in part.parameters()}
    scale_of = _block_scales(objective.backbone, config.layer_decay)
    undecayed = _undecayed(objective)
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in objective.named_parameters():
        if parameter.requires_grad and id(parameter) not in frozen:
            key = (scale_of.get(id(parameter), 1.0), id(parameter) not in undecayed)
            if name in objective.no_weight_decay:
                key = (key[0], False)
            groups.setdefault(key, []).append(parameter)
    if not groups:
        raise InputError("optimiser: expected trainable parameters, got none; unfreeze the backbone or a head")
    trained = {id(p) for parameters in groups.values() for p in parameters}
    if not objective.needs_labels and not any(id(p) in trained for p in objective.backbone.parameters()):
        raise InputError(
            f"{type(objective).__name__}: expected trainable parameters in the backbone, got a frozen one, whose "
            "features pre-training cannot change; call backbone.requires_grad_(True), or for its upper blocks alone"
        )
    return [
        {"params": parameters, "lr_scale": scale, "weight_decay": config.weight_decay if decays else 0.0}
        for (scale, decays), parameters in sorted(groups.items(), key=lambda item: item[0], reverse=True)
    ]


def _block_scales(backbone: nn.Module, layer_decay: float) -> dict[int, float]:
    if layer_decay == 1.0:
        return {}
    blocks = list(backbone.blocks())
    scale_of = {id(p): layer_decay ** max(len(blocks) - 1, 0) for p in backbone.parameters()}
    for i, block in enumerate(blocks):
        for parameter in block.parameters():
            scale_of[id(parameter)] = layer_decay ** (len(blocks) - 1 - i)
    return scale_of


def _undecayed(module: nn.Module) -> set[int]:
    found = {id(p) for p in module.parameters() if p.ndim <= 1}
    for part in module.modules():
        if "Norm" in type(part).__name__:
            found.update(id(p) for p in part.parameters(recurse=False))
        bias = getattr(part, "bias", None)
        if isinstance(bias, nn.Parameter):
            found.add(id(bias))
    return found


def make_optimizer(
    objective: Objective, config: OptimizerConfig, device: torch.device | str = "cpu"
) -> torch.optim.Optimizer:
    """Return the objective's own optimiser, or AdamW or SGD, over :func:`make_parameter_groups`.

    The latter are fused on a GPU: one kernel for all parameters. On CPUs they are not, so that the bits of a
    training stay what they were.
    """
    groups = make_parameter_groups(objective, config)
    own = objective.make_optimizer(groups, config.lr)
    if own is not None:
        return own
    fused = True if torch.device(device).type == "cuda" else None
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, fused=fused)
    return torch.optim.AdamW(groups, lr=config.lr, weight_decay=config.weight_decay, fused=fused)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every group ``lr`` times its ``lr_scale``."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_scale"]
