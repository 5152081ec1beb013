"""Deep ensembles: networks that differ in seed, read as samples of one predictor (arXiv 1612.01474)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from equirgz.errors import InputError
from equirgz.objectives.base import Objective


class Ensemble(nn.Module):
    """Trained objectives behind the interface of one.

    ``sample_logits`` gives one member per sample, in turn. ``logits`` are the log of the mean of the
    members' probabilities: the ensemble's prediction is the mean of probabilities, never of logits.
    """

    def __init__(self, members: Sequence[Objective]) -> None:
        super().__init__()
        if not members or {(member.task.name, member.n_classes) for member in members} != {
            ("classification", members[0].n_classes)
        }:
            found = [f"{member.task.name} of {member.n_classes}" for member in members]
            raise InputError("ensemble", expected="classifications of the same classes", got=found)
        self.members = nn.ModuleList(members)
        self.n_classes = members[0].n_classes
        self.n_predictive_samples = len(members)

    def logits(self, x_BCHW: Tensor) -> Tensor:
        """Return log mean_S softmax(logits_SBK), (B, K)."""
        log_p_SBK = torch.stack([member.logits(x_BCHW).log_softmax(-1) for member in self.members])
        return log_p_SBK.logsumexp(0) - torch.log(torch.tensor(float(len(self.members))))

    def sample_logits(self, x_BCHW: Tensor, n_samples: int = 1, generator: torch.Generator | None = None) -> Tensor:
        """Return logits_SBK of members 0, 1, ..., beginning anew after the last."""
        drawn = [self.members[s % len(self.members)] for s in range(n_samples)]
        return torch.stack([member.sample_logits(x_BCHW, 1, generator)[0] for member in drawn])
