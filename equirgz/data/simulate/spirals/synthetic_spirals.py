"""``synthetic_spirals``: galaxies with masks of bar and arms, true ones and those of simulated volunteers.

As in the task of arXiv 2312.02908: training maps are the shares of volunteers who put a pixel into a part. A galaxy
without a bar has a bar map of zeros; one whose volunteers were not asked for the bar has NaN.
Legend: N sources, K parts, V volunteers, H W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from equirgz.data.datasets import DATASETS
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.simulate.spirals.brightness import PARTS, SHARE, render_galaxy
from equirgz.data.simulate.spirals.galaxy import Galaxy, draw_galaxy
from equirgz.data.simulate.spirals.volunteers import draw_masks
from equirgz.errors import require
from equirgz.seeding import derive_seed

#: raised whenever the same arguments give other galaxies; part of the checksum
SPIRALS_VERSION = 1
CLASS_NAMES = ("smooth", "bar", "arms", "bar and arms")
PIXEL_SCALE_ARCSEC = 0.5


@dataclass(frozen=True)
class _Options:
    """What one galaxy, its image and its volunteers depend on, besides its seed."""

    size_px: int
    volunteers: int
    miss: float
    shift: float
    dilation: float
    not_asked: float
    bar_share: float
    arm_share: float
    psf: float
    depth: float


def _make_source(
    options: _Options, generator: np.random.Generator
) -> tuple[Galaxy, np.ndarray, np.ndarray, np.ndarray]:
    """Return a galaxy, its image (H, W), true masks (K, H, W) and volunteers' masks (K, V, H, W)."""
    galaxy = draw_galaxy(options.size_px, options.bar_share, options.arm_share, generator)
    total_HW, share_KHW = render_galaxy(galaxy, options.size_px, options.psf * options.size_px)
    noise = np.exp(-generator.uniform(0.75, 1.25) * options.depth)
    image_HW = np.arcsinh((total_HW + noise * generator.normal(size=total_HW.shape)) / (2 * noise))
    truth_KHW = share_KHW > SHARE
    drawn_KVHW = [
        draw_masks(
            truth_HW,
            options.volunteers,
            generator,
            miss=options.miss,
            shift_px=options.shift * options.size_px,
            dilation_px=options.dilation * options.size_px,
        )
        for truth_HW in truth_KHW
    ]
    return galaxy, image_HW.astype(np.float32), truth_KHW, np.stack(drawn_KVHW)


def _describe(galaxy: Galaxy, truth_KHW: np.ndarray, drawn_KVHW: np.ndarray) -> dict[str, float]:
    """Return the truth of one galaxy, and how near single volunteers and their majority come to its masks."""
    row = {
        "bar_length_arcsec": PIXEL_SCALE_ARCSEC * galaxy.seen_bar_length,
        "n_arms": galaxy.n_arms,
        "pitch_deg": galaxy.sense * np.rad2deg(galaxy.pitch) if galaxy.n_arms else np.nan,
        "axis_ratio": galaxy.axis_ratio,
    }
    for part, truth_HW, drawn_VHW in zip(PARTS, truth_KHW, drawn_KVHW, strict=True):
        masks_VHW = np.concatenate([drawn_VHW, drawn_VHW.mean(0, keepdims=True) >= 0.5])
        both_V, either_V = ((f(masks_VHW, truth_HW)).sum((1, 2)) for f in (np.logical_and, np.logical_or))
        iou_V = both_V / np.maximum(either_V, 1)
        there = bool(truth_HW.any())
        row[f"volunteer_iou_{part}"] = float(iou_V[:-1].mean()) if there else np.nan
        row[f"majority_iou_{part}"] = float(iou_V[-1]) if there else np.nan
    return row


@lru_cache(maxsize=8)
def _simulate(n: int, part: str, options: _Options, seed: int) -> tuple[ImageSet, np.ndarray]:
    """Return images with true masks, and the shares of votes (N, K, H, W), NaN where not asked."""
    size = options.size_px
    image_NHW = np.empty((n, size, size), np.float32)
    truth_NKHW = np.empty((n, len(PARTS), size, size), np.float32)
    share_NKHW, rows = np.empty_like(truth_NKHW), []
    for i in range(n):
        generator = np.random.default_rng(derive_seed(seed, "synthetic_spirals", part, i))
        galaxy, image_NHW[i], truth_KHW, drawn_KVHW = _make_source(options, generator)
        truth_NKHW[i], share_NKHW[i] = truth_KHW, drawn_KVHW.mean(1)
        share_NKHW[i, generator.random(len(PARTS)) < options.not_asked] = np.nan
        rows.append(_describe(galaxy, truth_KHW, drawn_KVHW))
    table = pd.DataFrame(rows)
    name = f"synthetic_spirals/{part}"
    barred_N, armed_N = np.isfinite(table["bar_length_arcsec"]).to_numpy(), (table["n_arms"] > 0).to_numpy()
    images = ImageSet(
        name,
        image_NHW,
        barred_N.astype(int) + 2 * armed_N.astype(int),
        np.array([f"{name}_s{seed}_{i:06d}" for i in range(n)]),
        CLASS_NAMES,
        pixel_scale_arcsec=PIXEL_SCALE_ARCSEC,
        table=table,
        recipe=f"{name} v{SPIRALS_VERSION} n={n} seed={seed} {options}",
        of_sky=False,
        map_NKHW=truth_NKHW,
        map_names=PARTS,
    )
    return images, share_NKHW


@DATASETS.register("synthetic_spirals")
def synthetic_spirals(
    data_dir: Path | None = None,
    /,
    n_train: int = 1000,
    n_test: int = 200,
    seed: int = 0,
    size_px: int = 65,
    volunteers: int = 15,
    miss: float = 0.1,
    shift: float = 0.015,
    dilation: float = 0.015,
    not_asked: float = 0.1,
    bar_share: float = 0.5,
    arm_share: float = 0.75,
    psf: float = 0.015,
    depth: float = 3.5,
) -> Data:
    """Simulated galaxies with maps of bar and arms: in training shares of volunteers, in ``test`` the true masks.

    ``test_votes`` holds the test galaxies with the volunteers' shares, for calibration against votes. The table has
    the true bar length and how near single volunteers (``volunteer_iou_PART``) and their majority come to the truth.

    Parameters
    ----------
    n_train, n_test : galaxies, 1 or more to train on.
    seed : of all galaxies and volunteers.
    size_px : side of the images, pixels of 0.5 arcsec, 17 or more.
    volunteers : who are asked for each part of each galaxy.
    miss : probability that a volunteer misses a part that is there.
    shift, dilation : by how much a drawn mask is off, and too large or small, as shares of the image's side.
    not_asked : share of the training galaxies whose map of a part is missing.
    bar_share, arm_share : probabilities of a bar and of arms.
    psf : standard deviation of the point spread function, as a share of the side.
    depth : mean logarithm of the disc's central brightness over the noise of a pixel.
    """
    what = "synthetic_spirals"
    require(n_train >= 1 and n_test >= 0, what, expected="n_train >= 1, n_test >= 0", got=f"{n_train}, {n_test}")
    require(size_px >= 17 and volunteers >= 1, what, expected="size_px >= 17 and volunteers >= 1",
            got=f"{size_px} and {volunteers}")  # fmt: skip
    shares = {"miss": miss, "not_asked": not_asked, "bar_share": bar_share, "arm_share": arm_share}
    for name, value in shares.items():
        require(0 <= value <= 1, f"{what} {name}", expected="a share in [0, 1]", got=value)
    require(not_asked < 1, f"{what} not_asked", expected="a share below 1", got=not_asked)
    positive = min(shift, dilation) >= 0 and psf > 0 and depth > 0
    require(positive, what, expected="shift, dilation >= 0, psf, depth > 0",
            got=f"{shift}, {dilation}, {psf}, {depth}")  # fmt: skip
    options = _Options(size_px, volunteers, miss, shift, dilation, not_asked, bar_share, arm_share, psf, depth)
    train, share_NKHW = _simulate(n_train, "train", options, seed)
    train = replace(train, map_NKHW=share_NKHW)
    if not n_test:
        return Data(train, {})
    asked = replace(options, not_asked=0.0)
    test, votes_NKHW = _simulate(n_test, "test", asked, seed)
    votes = replace(test, name="synthetic_spirals/test_votes", map_NKHW=votes_NKHW, recipe=f"{test.recipe}|votes")
    return Data(train, {"test": test, "test_votes": votes})
