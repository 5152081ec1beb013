"""The moving average of a training's weights, which is what is kept of it. Legend: w weights, t step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """``a <- m a + (1 - m) w`` after every update, with ``m = min(decay, (1 + t) / (10 + t))`` for t = 0, 1, ...

    All parameters and floating-point buffers (running statistics of batch norm among them) are averaged. The smaller
    m of the first updates lets the average leave the initial weights behind.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.value = {name: tensor.clone() for name, tensor in _floats(module).items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move the average towards the weights after update ``step``, counted from 0."""
        own = _floats(module)
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.value.values()), [own[name] for name in self.value], share)

    @torch.no_grad()
    def put_into(self, module: nn.Module) -> None:
        """Give ``module`` the averaged weights."""
        for name, tensor in _floats(module).items():
            tensor.copy_(self.value[name])

    @contextmanager
    def inside(self, module: nn.Module) -> Iterator[None]:
        """Let ``module`` have the averaged weights for as long as the context lasts."""
        own = {name: tensor.clone() for name, tensor in _floats(module).items()}
        self.put_into(module)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, tensor in _floats(module).items():
                    tensor.copy_(own[name])

    def load(self, value: dict[str, Tensor]) -> None:
        """Take the average as it was when a checkpoint was written."""
        for name, tensor in self.value.items():
            tensor.copy_(value[name])


def _floats(module: nn.Module) -> dict[str, Tensor]:
    return {name: t.detach() for name, t in module.state_dict().items() if t.is_floating_point()}
