"""A step whose numbers are not finite changes no weight and ends the training, on a GPU without waiting for it.

A host that reads the loss of every step waits for the GPU each time. Where the optimiser can leave out a step by
a flag on the device (torch's fused ones), that flag is raised there, it stays raised, and the host looks at
the numbers of many steps at once: later, and at the same weights. Elsewhere every number is read at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

_AT_MOST = 50  # steps that the host may lag behind


@dataclass(frozen=True)
class _Step:
    step: int
    index: dict[str, Tensor]
    number: dict[str, Tensor]


class FiniteCheck:
    """Look at the loss and the gradient's norm of every step.

    Parameters
    ----------
    optimizer : of torch; it is told to leave steps out where ``deferred``.
    deferred : whether to look later; only for optimisers that support it (:func:`can_defer`).
    fail : called with what is not finite ("loss", ...), its value, and step and sources {pool: index}; it raises.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        deferred: bool,
        fail: Callable[[str, float, int, dict[str, Tensor]], None],
    ) -> None:
        self.optimizer, self.deferred, self.fail = optimizer, deferred, fail
        self.pending: list[_Step] = []
        self.bad: Tensor | None = None

    def look(self, step: int, index: dict[str, Tensor], **number: Tensor) -> None:
        """Check the numbers of a step before its update."""
        self.pending.append(_Step(step, index, number))
        if not self.deferred:
            return self.flush()
        found = torch.stack([value.detach().float() for value in number.values()])
        bad = 1.0 - torch.isfinite(found).all().float()
        self.bad = bad if self.bad is None else torch.maximum(self.bad, bad)
        self.optimizer.grad_scale, self.optimizer.found_inf = None, self.bad
        if len(self.pending) >= _AT_MOST:
            self.flush()
        return None

    def flush(self) -> None:
        """Look at all numbers that were not looked at, the first step first."""
        pending, self.pending = self.pending, []
        if not pending:
            return
        numbers = torch.stack([torch.stack([n.detach().double() for n in one.number.values()]) for one in pending])
        for one, values in zip(pending, numbers.tolist(), strict=True):
            for what, value in zip(one.number, values, strict=True):
                if not math.isfinite(value):
                    self.fail(what.replace("_", " "), value, one.step, one.index)


def can_defer(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether the optimiser is fused, so that it leaves out a step by a flag on the device."""
    return bool(optimizer.defaults.get("fused")) and getattr(optimizer, "_step_supports_amp_scaling", False)
