"""MC dropout: dropout kept on at prediction, as samples of an approximate posterior (arXiv 1506.02142)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equirgz.objectives.base import OBJECTIVES
from equirgz.objectives.bayesian.posterior import seeded
from equirgz.objectives.supervised import Supervised
from equirgz.tasks import Task


@OBJECTIVES.register("mc_dropout")
class McDropout(Supervised):
    """Supervised training with dropout before the classifier, and in the backbone where it has any.

    ``logits`` are without dropout; ``sample_logits`` turns on the dropout layers alone, so that norm
    layers keep their running statistics.
    """

    n_predictive_samples = 32

    def __init__(
        self, backbone: nn.Module, task: Task | int, dropout: float = 0.5, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(backbone, task, label_smoothing, dropout)

    def sample_logits(self, x_BCHW: Tensor, n_samples: int = 1, generator: torch.Generator | None = None) -> Tensor:
        """Return logits_SBK, each sample with its own dropped features.

        A backbone without dropout answers the same each time, so it is asked once.
        """
        parts = [part for part in self.modules() if "Dropout" in type(part).__name__]
        modes = [(part, part.training) for part in parts]
        in_backbone = any("Dropout" in type(part).__name__ for part in self.backbone.modules())
        fixed_B = None if in_backbone else self.head.encode(self.backbone, x_BCHW)
        try:
            for part in parts:
                part.training = True
            with seeded(generator):
                return torch.stack(
                    [self.logits(x_BCHW) if fixed_B is None else self.classifier(fixed_B) for _ in range(n_samples)]
                )
        finally:
            for part, training in modes:
                part.training = training
