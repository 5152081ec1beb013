"""The noise of noisy images: what a prior for imaging is learnt from. Legend: N sources, L noise levels, H W pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from equirgz.errors import DataError, InputError, check_choice, require
from equirgz.tasks.base import TASKS, Headline, Kept, Named, Row, Targets, Task, make_row

SCHEDULES = ("ve", "vp")


@dataclass(frozen=True)
class Denoising(Task):
    """What a network misses of the noise in ``x + s n``, n ~ N(0, 1), at noise levels s from ``low`` to ``high``.

    A target is the source's own image (N, 1, H, W), without noise; an answer is n less its estimate times
    ``sqrt(1 + s^2)``, (N, L, H, W), at :attr:`levels`. Kept are the mean squares over pixels, (N, L), and the headline
    is their mean: the loss of denoising score matching (arXiv 1907.05600), weighted so that white images of unit
    variance give 1 at every level (arXiv 2206.00364), of white images N(m, d^2) at best the mean over levels of
    ``d^2 (1 + s^2) / (d^2 + s^2)``.

    Attributes
    ----------
    low, high : noise levels that are learnt, in units of the images.
    n_levels : how many of them are measured, both ends among them, evenly in their logarithm.
    schedule : how often each is learnt, ``ve`` or ``vp``: as in a diffusion of exploding or preserving variance, whose
        times are drawn evenly (:mod:`equirgz.objectives.generative.noise_schedules`).
    """

    low: float = 0.015
    high: float = 30.0
    n_levels: int = 6
    schedule: str = "ve"
    name = "denoising"
    dense = True
    kept = {"errors": "e"}
    titles = {
        "denoising/loss": "Denoising loss",
        "imaging/psnr": "PSNR of images",
        "imaging/ssim": "SSIM of images",
        "imaging/chi2": "chi2 per number",
        "imaging/tarp": "TARP deviation",
    }

    @property
    def levels(self) -> np.ndarray:
        """The noise levels that are measured, (L,)."""
        return np.geomspace(self.low, self.high, self.n_levels)

    @property
    def n_outputs(self) -> int:
        return self.n_levels

    @property
    def headline(self) -> Headline:
        words = ("Denoising loss", "1", "lower", "test denoising loss", "squared error", "the mean over noise levels")
        return Headline("denoising/loss", "loss", *words)

    @property
    def shown(self) -> tuple[str, ...]:
        return (self.headline.metric, *(name for name in self.titles if name.startswith("imaging/")))

    def has_targets(self, images: Targets) -> bool:
        return True

    def no_targets(self, n: int, size: int) -> np.ndarray:
        return np.full((n, 1, size, size), np.nan, np.float32)

    def targets(self, images: Targets) -> np.ndarray:
        x_NCHW = images.x_NCHW
        if x_NCHW.shape[1] != 1:
            raise DataError(f"{images.name}: task denoising", expected="images of one channel", got=x_NCHW.shape[1])
        return x_NCHW

    def known(self, target_N: np.ndarray) -> np.ndarray:
        return np.isfinite(target_N).all((1, 2, 3))

    def check(self, target_N: np.ndarray) -> None:
        x_NCHW = np.asarray(target_N)
        if x_NCHW.ndim != 4 or x_NCHW.shape[1] != 1:
            raise InputError("images to add noise to", expected="(N, 1, H, W)", got=x_NCHW.shape)
        if not np.isfinite(x_NCHW).all():
            raise InputError("images to add noise to", expected="finite pixels", got="NaN or infinity")
        if np.ptp(x_NCHW) == 0:
            mend = "a prior of nothing tells nothing; take other images"
            raise InputError("images to add noise to", expected="pixels that differ", got="one value", mend=mend)

    def keep(self, answer_N: np.ndarray, target_N: np.ndarray) -> Kept:
        error_NL = np.square(np.asarray(answer_N, np.float64)).mean((2, 3))
        return {"errors": np.where(self.known(target_N)[:, None], error_NL, np.nan)}

    def score(self, kept: Kept) -> list[Row]:
        error_NL = kept["errors"][np.isfinite(kept["errors"]).all(1)]
        if not len(error_NL):
            return []
        n, mean_L = len(error_NL), error_NL.mean(0)
        rows = [make_row("denoising/loss", mean_L.mean(), "1", "lower", n)]
        names = [f"denoising/loss/{level:.3g}" for level in self.levels]
        return rows + [make_row(name, value, "1", "lower", n) for name, value in zip(names, mean_L, strict=True)]

    def loss_per_source(self, kept: Kept) -> np.ndarray:
        return kept["errors"].mean(1)


@TASKS.register("denoising")
def denoising(
    images: Named | Targets, *, low: float = 0.015, high: float = 30.0, n_levels: int = 6, schedule: str = "ve"
) -> Denoising:
    """The noise added to the set's images, of many levels: a score, the prior of ``equirgz.imaging``.

    Parameters
    ----------
    low, high : noise levels to learn, in units of the images; high should exceed the distance of any two of them.
    n_levels : of how many levels the loss is measured.
    schedule : ve, all levels alike in their logarithm, or vp, as often as a variance-preserving diffusion passes them.
    """
    what = "task denoising"
    check_choice(f"{what}: schedule", schedule, SCHEDULES)
    require(0 < low < high, what, expected="0 < low < high", got=f"{low} and {high}")
    require(isinstance(n_levels, int) and n_levels >= 2, what, expected="n_levels of 2 or more", got=n_levels)
    return Denoising(float(low), float(high), n_levels, schedule)
