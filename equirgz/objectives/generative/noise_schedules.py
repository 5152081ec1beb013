"""How noise grows with time in diffusions: exploding (VE) or preserving (VP) variance (arXiv 2011.13456).

At time t in [0, 1] an image is ``x_t = mean(t) x_0 + sigma(t) z``, z ~ N(0, 1). What matters of either is the ratio
``level = sigma / mean``: ``x_t / mean`` is the image with noise of that deviation, so that one sampler serves both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from equirgz.errors import InputError, check_choice, require
from equirgz.tasks.denoising import SCHEDULES


class NoiseSchedule(ABC):
    """``mean`` and ``sigma`` of times, and the time of a ``level``."""

    @abstractmethod
    def mean(self, t: Tensor) -> Tensor:
        """Return the factor of the image at ``t``."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """Return the standard deviation of the noise at ``t``."""

    @abstractmethod
    def time_of(self, level: Tensor) -> Tensor:
        """Return the time at which sigma / mean is ``level``."""

    def level(self, t: Tensor) -> Tensor:
        """Return sigma / mean at ``t``."""
        return self.sigma(t) / self.mean(t)

    def levels(self, steps: int, lowest: float | None = None) -> Tensor:
        """Return ``steps + 1`` levels (float64), in equal ratios from that of t = 1 down to ``lowest``.

        The default is 1/1000 of a unit-variance image, or where the schedule begins, whichever is more.
        """
        require(steps >= 1, "steps", expected="at least 1", got=steps)
        first, last = (float(self.level(torch.tensor(t, dtype=torch.float64))) for t in (1.0, 0.0))
        lowest = max(last, 1e-3) if lowest is None else lowest
        require(0 < lowest < first, "lowest level", expected=f"above 0 and below {first:.4g}", got=lowest)
        return torch.logspace(torch.log10(torch.tensor(first)), torch.log10(torch.tensor(lowest)), steps + 1,
                              dtype=torch.float64)  # fmt: skip


@dataclass(frozen=True)
class VarianceExploding(NoiseSchedule):
    """``mean = 1, sigma = low (high / low)^t``; ``high`` should exceed the largest distance between two images."""

    low: float = 1e-3
    high: float = 50.0

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise InputError("schedule ve", expected="0 < low < high", got=f"{self.low}, {self.high}")

    def mean(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        return self.low * (self.high / self.low) ** t

    def time_of(self, level: Tensor) -> Tensor:
        return torch.log(level / self.low) / torch.log(torch.tensor(self.high / self.low, dtype=level.dtype))


@dataclass(frozen=True)
class VariancePreserving(NoiseSchedule):
    """``mean^2 + sigma^2 = 1``, ``mean = exp(-b/2)`` with ``b = low t + (high - low) t^2 / 2``."""

    low: float = 0.1
    high: float = 20.0

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise InputError("schedule vp", expected="0 < low < high", got=f"{self.low}, {self.high}")

    def _integral(self, t: Tensor) -> Tensor:
        return self.low * t + 0.5 * (self.high - self.low) * t.square()

    def mean(self, t: Tensor) -> Tensor:
        return torch.exp(-0.5 * self._integral(t))

    def sigma(self, t: Tensor) -> Tensor:
        return (-torch.expm1(-self._integral(t))).sqrt()

    def time_of(self, level: Tensor) -> Tensor:
        integral = torch.log1p(level.square())
        slope = self.high - self.low
        return (torch.sqrt(self.low**2 + 2 * slope * integral) - self.low) / slope


def make_schedule(name: str, **limits: float) -> NoiseSchedule:
    """Return the schedule ``ve`` or ``vp``, with ``low`` and ``high`` where given."""
    check_choice("schedule", name, SCHEDULES)
    return {"ve": VarianceExploding, "vp": VariancePreserving}[name](**limits)
