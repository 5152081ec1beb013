"""Priors over weights and their distance from a Gaussian posterior, in nat. All functions sum over elements.

Legend: m mean and s standard deviation of the posterior of each weight.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

PRIORS = ("gaussian", "laplace", "scale_mixture")


def compute_gaussian_kl(mean: Tensor, std: Tensor, prior_std: Tensor | float) -> Tensor:
    """Return ``sum KL(N(m, s^2) || N(0, p^2)) = sum log(p / s) + (s^2 + m^2) / (2 p^2) - 1/2``."""
    prior_std = torch.as_tensor(prior_std, dtype=mean.dtype, device=mean.device)
    ratio = std / prior_std
    return (0.5 * (ratio**2 + (mean / prior_std) ** 2 - 1) - torch.log(ratio)).sum()


def compute_laplace_kl(mean: Tensor, std: Tensor, prior_std: Tensor | float) -> Tensor:
    """Return ``sum KL(N(m, s^2) || Laplace(0, b))`` with ``b = prior_std / sqrt 2``, in closed form.

    ``E|w| = s sqrt(2 / pi) exp(-m^2 / 2 s^2) + m erf(m / (s sqrt 2))`` and
    ``KL = log(2 b) + E|w| / b - log(2 pi e s^2) / 2``.
    """
    scale = torch.as_tensor(prior_std, dtype=mean.dtype, device=mean.device) / math.sqrt(2)
    ratio = mean / std
    absolute = std * math.sqrt(2 / math.pi) * torch.exp(-0.5 * ratio**2) + mean * torch.erf(ratio / math.sqrt(2))
    entropy = 0.5 * math.log(2 * math.pi * math.e) + torch.log(std)
    return (torch.log(2 * scale) + absolute / scale - entropy).sum()


def compute_scale_mixture_kl(
    mean: Tensor, std: Tensor, prior_std: Tensor | float, share: float = 0.5, narrow: float = 0.1
) -> Tensor:
    """Return a one-sample estimate of ``sum KL(q || share N(0, p^2) + (1 - share) N(0, (narrow p)^2))``.

    The scale mixture of arXiv 1505.05424, eq. 7. There is no closed form; the sample is drawn from
    torch's global generator, and the gradient goes through it.
    """
    prior_std = torch.as_tensor(prior_std, dtype=mean.dtype, device=mean.device)
    noise = torch.randn_like(mean)
    weight = mean + std * noise
    log_q = -0.5 * noise**2 - torch.log(std)
    parts = [
        math.log(part) - torch.log(width * prior_std) - 0.5 * (weight / (width * prior_std)) ** 2
        for part, width in ((share, 1.0), (1 - share, narrow))
    ]
    return (log_q - torch.logaddexp(*parts)).sum()


PRIOR_KL = {
    "gaussian": compute_gaussian_kl,
    "laplace": compute_laplace_kl,
    "scale_mixture": compute_scale_mixture_kl,
}
