"""A value per pixel and part: masks, or the share of votes for them. Legend: N sources, K parts, H W pixels, S sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from equirgz.errors import DataError, InputError, check_choice, require
from equirgz.metrics.masks import SUMS, calibration_error, count_pixels, dice, intersection_over_union
from equirgz.tasks.base import TASKS, Headline, Kept, Named, Row, Targets, Task, make_row

LOSSES = ("binomial", "beta_binomial", "mse")


@dataclass(frozen=True)
class Segmentation(Task):
    """Probability maps, scored at 1/2 by intersection over union and Dice, and per pixel by the Brier score.

    A target is map_NKHW, shares in [0, 1] in register with the images, NaN where a pixel was not asked. An answer is
    p_NKHW. What is kept of a source and part are sums over its pixels (:data:`equirgz.metrics.masks.SUMS`). A map of
    zeros says that the part is absent, and is learnt as that.

    Attributes
    ----------
    parts : names of the maps.
    loss : per pixel, of shares s and answers p, "binomial" (-s log p - (1 - s) log(1 - p)), "beta_binomial" (of
        s times ``volunteers`` votes) or "mse".
    volunteers : votes behind each share, of which a beta-binomial loss needs the number.
    """

    parts: tuple[str, ...]
    loss: Literal["binomial", "beta_binomial", "mse"] = "binomial"
    volunteers: int = 1
    name = "segmentation"
    dense = True
    kept = {"sums": "s"}
    titles = {
        "segmentation/iou": "Intersection over union",
        "segmentation/dice": "Dice coefficient",
        "segmentation/brier": "Brier score of pixels",
        "segmentation/ece": "Calibration error of pixels",
    }

    @property
    def n_outputs(self) -> int:
        return len(self.parts)

    @property
    def headline(self) -> Headline:
        title = "Intersection over union"
        return Headline(
            "segmentation/iou", "iou", title, "1", "higher", "test IoU", "loss 1 - IoU", "the mean over parts"
        )

    @property
    def shown(self) -> tuple[str, ...]:
        return (self.headline.metric, "segmentation/dice", "segmentation/brier", "segmentation/ece")

    def has_targets(self, images: Targets) -> bool:
        return tuple(images.map_names) == self.parts

    def no_targets(self, n: int, size: int) -> np.ndarray:
        return np.full((n, self.n_outputs, size, size), np.nan, np.float32)

    def targets(self, images: Targets) -> np.ndarray:
        if images.map_NKHW is None:
            raise DataError(f"{images.name}: task segmentation", expected="a set with maps", got="images alone")
        if tuple(images.map_names) != self.parts:
            raise DataError(f"{images.name}: maps", expected=f"of {', '.join(self.parts)}", got=images.map_names)
        return images.map_NKHW

    def known(self, target_N: np.ndarray) -> np.ndarray:
        return np.isfinite(target_N).any((1, 2, 3))

    def check(self, target_N: np.ndarray) -> None:
        map_NKHW = np.asarray(target_N)
        if map_NKHW.ndim != 4 or map_NKHW.shape[1] != len(self.parts):
            raise InputError("maps", expected=f"(N, {len(self.parts)}, H, W)", got=map_NKHW.shape)
        if not np.isfinite(map_NKHW).any():
            raise InputError("maps to learn from", expected="pixels that were asked", got="none")
        low, high = np.nanmin(map_NKHW), np.nanmax(map_NKHW)
        if low < 0 or high > 1:
            expected, mend = "shares in [0, 1], or NaN where not asked", "divide votes by the number of those who voted"
            raise InputError("maps", expected=expected, got=f"{low:g} to {high:g}", mend=mend)
        if high == low:
            raise InputError("maps to learn from", expected="pixels in and outside of the parts", got=f"all {low:g}")

    def keep(self, answer_N: np.ndarray, target_N: np.ndarray) -> Kept:
        return {"sums": count_pixels(answer_N, target_N).reshape(len(answer_N), -1)}

    def _sums(self, kept: Kept) -> np.ndarray:
        return kept["sums"].reshape(len(kept["sums"]), len(self.parts), len(SUMS))

    def score(self, kept: Kept) -> list[Row]:
        sums_NKS = self._sums(kept)
        sums_NKS = sums_NKS[sums_NKS[:, :, SUMS.index("asked")].sum(1) > 0]
        if not len(sums_NKS):
            return []
        n, iou_NK, dice_NK = len(sums_NKS), intersection_over_union(sums_NKS), dice(sums_NKS)
        asked, brier = (sums_NKS[:, :, SUMS.index(name)].sum() for name in ("asked", "squared_error"))
        rows = [
            make_row("segmentation/iou", _mean(iou_NK), "1", "higher", n),
            make_row("segmentation/dice", _mean(dice_NK), "1", "higher", n),
            make_row("segmentation/brier", brier / asked, "1", "lower", n),
            make_row("segmentation/ece", calibration_error(sums_NKS), "1", "lower", n),
        ]
        return rows + [
            make_row(f"segmentation/iou/{part}", _mean(iou_N), "1", "higher", int(np.isfinite(iou_N).sum()))
            for part, iou_N in zip(self.parts, iou_NK.T, strict=True)
        ]

    def loss_per_source(self, kept: Kept) -> np.ndarray:
        iou_NK = intersection_over_union(self._sums(kept))
        seen_N = np.isfinite(iou_NK).sum(1)
        return 1 - np.divide(np.nansum(iou_NK, 1), seen_N, out=np.full(len(seen_N), np.nan), where=seen_N > 0)


def _mean(array: np.ndarray) -> float | None:
    return float(np.nanmean(array)) if np.isfinite(array).any() else None


@TASKS.register("segmentation")
def segmentation(images: Named | Targets, *, loss: str = "binomial", volunteers: int = 1) -> Segmentation:
    """A value per pixel for each of the set's maps.

    Parameters
    ----------
    loss : "binomial", "beta_binomial" or "mse", of the shares of votes in each pixel.
    volunteers : how many votes a share is of; a beta-binomial loss needs 2 or more.
    """
    check_choice("task segmentation: loss", loss, LOSSES)
    enough = isinstance(volunteers, int) and volunteers >= (2 if loss == "beta_binomial" else 1)
    require(enough, f"task segmentation: volunteers of the loss {loss}",
            expected="a whole number, 2 or more for beta_binomial", got=volunteers)  # fmt: skip
    if not images.map_names:
        raise DataError(f"{images.name}: task segmentation", expected="a set with maps", got="images alone")
    return Segmentation(tuple(images.map_names), loss, volunteers)
