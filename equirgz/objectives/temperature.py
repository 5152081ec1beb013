"""Temperature scaling: one number, fitted on validation sources only (arXiv 1706.04599).

Legend: N sources, K classes, S samples.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from equirgz.errors import InputError, NumericalError, explain

LOWEST, HIGHEST = 0.01, 100.0


def fit_temperature(logits_NK: Tensor, label_N: Tensor) -> float:
    """Return T in [0.01, 100] that minimises the mean of ``-log softmax(logits / T)[label]``.

    The nll is convex in 1/T: its derivative is bisected to a relative 1e-9. Fit it on sources that
    neither trained nor test the network. Raises InputError for labels that do not match and
    NumericalError for logits that are not finite.

    >>> z = torch.tensor([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [2.0, 0.0]])
    >>> round(fit_temperature(z, torch.tensor([0, 0, 0, 1])), 3)  # 3 of 4 right: sigmoid(2 / T) = 3/4
    1.82
    """
    logits_NK, label_N = logits_NK.detach().double(), label_N.long()
    if logits_NK.ndim != 2 or label_N.shape != logits_NK.shape[:1] or len(label_N) == 0:
        raise InputError(
            explain(
                "temperature",
                expected="logits (N, K) and N labels",
                got=f"{tuple(logits_NK.shape)} and {tuple(label_N.shape)}",
            )
        )
    if not bool(torch.isfinite(logits_NK).all()):
        raise NumericalError(
            "temperature: expected finite logits, got NaN or infinity; did the training diverge?"
        )
    own_N = logits_NK.gather(1, label_N[:, None])[:, 0]

    def slope(inverse: float) -> float:
        """Derivative of the mean nll by 1/T: expected minus own logit."""
        return float(((logits_NK * inverse).softmax(1) * logits_NK).sum(1).sub(own_N).mean())

    low, high = 1 / HIGHEST, 1 / LOWEST
    if slope(low) >= 0:
        return HIGHEST
    if slope(high) <= 0:
        return LOWEST
    while high / low > 1 + 1e-9:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 1 / (low * high) ** 0.5


class TemperatureScaled(nn.Module):
    """An objective whose logits are divided by ``temperature``."""

    def __init__(self, objective: nn.Module, temperature: float) -> None:
        super().__init__()
        if not temperature > 0:
            raise InputError(explain("temperature", expected="a positive number", got=temperature))
        self.objective, self.temperature = objective, temperature
        self.n_predictive_samples = objective.n_predictive_samples

    def logits(self, x_BCHW: Tensor) -> Tensor:
        """Return logits_BK / T."""
        return self.objective.logits(x_BCHW) / self.temperature

    def sample_logits(
        self, x_BCHW: Tensor, n_samples: int = 1, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return logits_SBK / T."""
        return self.objective.sample_logits(x_BCHW, n_samples, generator) / self.temperature
