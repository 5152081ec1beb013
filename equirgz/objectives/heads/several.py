"""Several heads on one encoder. Legend: B batch, O outputs of all parts."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from equirgz.objectives.gather import mean_count
from equirgz.objectives.heads.base import HEADS, Head, create_head
from equirgz.tasks import Task


@HEADS.register("several")
class SeveralHead(Head):
    """The weighted sum of the parts' losses, each over the sources that have its target.

    ``label_smoothing`` is that of the classifications among the parts.
    """

    def __init__(self, task: Task, label_smoothing: float = 0.0) -> None:
        super().__init__(task)
        smooth = {"label_smoothing": label_smoothing} if label_smoothing else {}
        self.heads = nn.ModuleList(
            create_head(part, **(smooth if part.name == "classification" else {})) for part in task.parts
        )

    def _split(self, raw_B: Tensor) -> tuple[Tensor, ...]:
        return raw_B.split([part.n_outputs for part in self.task.parts], 1)

    def learn(self, target_N: np.ndarray) -> None:
        for head, target in zip(self.heads, self.task.split_targets(target_N), strict=True):
            head.learn(target[head.task.known(target)])

    def loss(self, raw_B: Tensor, target_B: Tensor) -> Tensor:
        total = raw_B.sum() * 0.0
        for head, weight, raw, target, known in self._parts(raw_B, target_B):
            if target.ndim == 1:  # a missing class is no target of cross entropy
                # over several processes every one of them reaches the mean, also where it knows no class
                share = known.sum() / mean_count(known, raw.dtype)
                loss = head.loss(raw[known], target[known]) * share if bool(known.any()) else raw.sum() * 0.0
            else:
                loss = head.loss(raw, target)
            total = total + weight * loss
        return total

    def measure(self, raw_B: Tensor, target_B: Tensor) -> dict[str, Tensor]:
        found = {}
        for head, _, raw, target, known in self._parts(raw_B, target_B):
            if bool(known.any()):
                found |= head.measure(raw[known], target[known])
        return found

    def answer(self, raw_B: Tensor) -> Tensor:
        return torch.cat([head.answer(raw) for head, raw in zip(self.heads, self._split(raw_B), strict=True)], 1)

    def _parts(self, raw_B: Tensor, target_B: Tensor) -> list[tuple[Head, float, Tensor, Tensor, Tensor]]:
        """Return head, weight, raw outputs, targets and which of them are known, part by part."""
        targets = self.task.split_targets(target_B.detach().cpu().numpy())
        parts = zip(self.heads, self.task.weights, self._split(raw_B), targets, strict=True)
        return [
            (
                head,
                weight,
                raw,
                *(torch.from_numpy(array).to(raw.device) for array in (target, head.task.known(target))),
            )
            for head, weight, raw, target in parts
        ]
