"""Samples of an image with a known score at every noise level. Legend: B samples, H W pixels, L levels."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from equirgz.errors import NumericalError, check_choice, require
from equirgz.imaging.posterior_score import Score
from equirgz.seeding import derive_seed

SAMPLERS = ("predictor_corrector", "deterministic")


def draw_samples(
    score: Score,
    level_L: Tensor,
    n_samples: int,
    image_size: int,
    *,
    sampler: Literal["predictor_corrector", "deterministic"] = "predictor_corrector",
    correctors: int = 3,
    snr: float = 0.16,
    seed: int = 0,
    batch_size: int = 256,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return samples (n, H, W) from noise of the first level down to the last one.

    ``predictor_corrector`` (arXiv 2011.13456): from level a to b, ``x + (a^2 - b^2) score + b sqrt(1 - b^2 / a^2) z``;
    then at b so many Langevin steps ``x + h/2 score + sqrt(h) z`` with ``h = (snr * b)^2`` (arXiv 2311.18012).
    ``deterministic`` (arXiv 2206.00364): Heun's rule on dx / d level = -level * score, the only noise that of the
    start; with 50 levels it is fast, and exact only for scores of diffused distributions, which posteriors of
    ``PosteriorScore`` are in approximation.

    Samples come in batches with seeds of their own, so that the same seed gives the same samples, whatever is drawn
    after them.

    Raises InputError for levels that do not fall, and other arguments out of range; NumericalError where a sample
    is not finite: the score is then too steep for the steps.
    """
    check_choice("sampler", sampler, SAMPLERS)
    require(n_samples >= 1, "n_samples", expected="at least 1", got=n_samples)
    require(batch_size >= 1, "batch_size", expected="at least 1", got=batch_size)
    require(correctors >= 0, "correctors", expected="at least 0", got=correctors)
    require(0 < snr < 1, "snr", expected="above 0 and below 1", got=snr)
    levels = [float(level) for level in level_L]
    falling = len(levels) > 1 and all(a > b > 0 for a, b in zip(levels, levels[1:], strict=False))
    require(falling, "levels", expected="at least two positive ones that fall", got=levels[:4])
    done = []
    for start in range(0, n_samples, batch_size):
        generator = torch.Generator().manual_seed(derive_seed(seed, "samples", start))
        size = (min(batch_size, n_samples - start), image_size, image_size)
        x_BHW = levels[0] * torch.randn(size, generator=generator, dtype=dtype)
        with torch.no_grad():
            if sampler == "deterministic":
                x_BHW = _heun(score, x_BHW, levels)
            else:
                x_BHW = _predict_and_correct(score, x_BHW, levels, correctors, snr, generator)
        if not torch.isfinite(x_BHW).all():
            raise NumericalError(
                "samples: expected finite pixels, got NaN or infinity; take more levels or a lower snr"
            )
        done.append(x_BHW)
    return torch.cat(done)


def _heun(score: Score, x_BHW: Tensor, levels: list[float]) -> Tensor:
    for a, b in zip(levels, levels[1:], strict=False):
        slope_BHW = -a * score(x_BHW, a)
        ahead_BHW = x_BHW + (b - a) * slope_BHW
        x_BHW = x_BHW + (b - a) / 2 * (slope_BHW - b * score(ahead_BHW, b))
    return x_BHW


def _predict_and_correct(
    score: Score, x_BHW: Tensor, levels: list[float], correctors: int, snr: float, generator: torch.Generator
) -> Tensor:
    def noise() -> Tensor:
        return torch.randn(x_BHW.shape, generator=generator, dtype=x_BHW.dtype)

    for a, b in zip(levels, levels[1:], strict=False):
        x_BHW = x_BHW + (a**2 - b**2) * score(x_BHW, a) + b * (1 - b**2 / a**2) ** 0.5 * noise()
        step = (snr * b) ** 2
        for _ in range(correctors):
            x_BHW = x_BHW + step / 2 * score(x_BHW, b) + step**0.5 * noise()
    return x_BHW
