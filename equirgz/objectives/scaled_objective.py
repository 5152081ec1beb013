"""An objective at another temperature, to be fitted on validation sources only (arXiv 1706.04599).

Legend: B batch, C channel, H W pixels, K classes, S samples.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equirgz.errors import require


class TemperatureScaled(nn.Module):
    """An objective whose logits are divided by ``temperature``.

    :mod:`equirgz.metrics.calibration.temperature_scaling` fits it.
    """

    def __init__(self, objective: nn.Module, temperature: float) -> None:
        super().__init__()
        require(temperature > 0, "temperature", expected="a positive number", got=temperature)
        self.objective, self.temperature = objective, temperature
        self.n_predictive_samples = objective.n_predictive_samples

    def logits(self, x_BCHW: Tensor) -> Tensor:
        """Return logits_BK / T."""
        return self.objective.logits(x_BCHW) / self.temperature

    def sample_logits(self, x_BCHW: Tensor, n_samples: int = 1, generator: torch.Generator | None = None) -> Tensor:
        """Return logits_SBK / T."""
        return self.objective.sample_logits(x_BCHW, n_samples, generator) / self.temperature
