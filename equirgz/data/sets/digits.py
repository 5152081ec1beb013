"""The digits of scikit-learn, for checks of methods; with noise, as a task of domain adaptation; and in colours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from equirgz.data.datasets import DATASETS
from equirgz.data.facts import SetInfo, publish
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.splits.labelled import stratified_order
from equirgz.data.splits.test_part import split_off_test
from equirgz.errors import require
from equirgz.seeding import derive_seed

publish(
    SetInfo(
        "digits",
        "Digits of scikit-learn: 1797 of 8 px, the test part of the UCI handwritten digits",
        "",
        None,
        "https://archive.ics.uci.edu/ml/datasets/Optical+Recognition+of+Handwritten+Digits",
        None,
        "Alpaydin & Kaynak 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository",
        ("digits",),
        notes="Comes with scikit-learn: nothing to fetch, so no file and no md5. scikit-learn names no licence of it.",
    )
)
DIGITS = tuple("0123456789")


@DATASETS.register("digits")
def digits(data_dir: Path | None = None, /, test_fraction: float = 0.2, seed: int = 0) -> Data:
    """The 1797 digits of 8 px that come with scikit-learn, scaled to 0..255.

    Parameters
    ----------
    test_fraction : share of the digits, the last of one stratified order, that tests; 0 <= share < 1.
    seed : of that order.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    image_NHW = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    ids = np.array([f"digit_{i:04d}" for i in range(len(image_NHW))])
    images = ImageSet("digits", image_NHW, bunch.target, ids, DIGITS, of_sky=False)
    return split_off_test(images, test_fraction, seed)


@DATASETS.register("digits_noisy")
def digits_noisy(
    data_dir: Path | None = None, /, noise: float = 0.4, test_fraction: float = 0.2, seed: int = 0
) -> Data:
    """scikit-learn's digits: half of the training digits clean with labels, the other half noisy without.

    The test digits are the same in both domains: ``test`` clean, ``test_shift`` noisy.

    Parameters
    ----------
    noise : standard deviation of the Gaussian noise of each of the 8 x 8 pixels as a share of full scale, before
        clipping to 0..255; 0 or more.
    test_fraction : share of the digits, the last of one stratified order, that tests; 0 <= share < 1.
    seed : of that order, of the halves and of the noise.
    """
    require(noise >= 0, "digits_noisy noise", expected="0 or more", got=noise)
    clean = digits(data_dir, test_fraction=test_fraction, seed=seed)
    order = stratified_order(clean.train.label_N, derive_seed(seed, "digits_noisy"))
    half = len(order) // 2
    source, target = (clean.train.subset(np.sort(index)) for index in (order[:half], order[half:]))
    tests = dict(clean.tests)
    if "test" in tests:
        tests["test_shift"] = add_noise(tests["test"], noise, derive_seed(seed, "digits_noisy", "test"))
    unlabelled = add_noise(target, noise, derive_seed(seed, "digits_noisy", "train")).without_labels()
    return Data(source, tests, unlabelled)


def add_noise(images: ImageSet, noise: float, seed: int) -> ImageSet:
    """Return uint8 images plus Gaussian noise of ``255 noise`` per pixel, rounded and clipped to 0..255."""
    generator = np.random.default_rng(seed)
    noisy = images.image_NHW + 255 * noise * generator.standard_normal(images.image_NHW.shape)
    return replace(images, image_NHW=np.round(np.clip(noisy, 0, 255)).astype(np.uint8))


@DATASETS.register("digits_coloured")
def digits_coloured(
    data_dir: Path | None = None, /, colours: int = 4, test_fraction: float = 0.5, seed: int = 0
) -> Data:
    """scikit-learn's digits in random hues at full saturation, which the table has as ``hue_deg``.

    Parameters
    ----------
    colours : hues in which each training digit stands, 1 or more; each test digit stands in one.
    test_fraction : share of the digits, the last of one stratified order, that tests; 0 <= share < 1.
    seed : of that order and of the hues.
    """
    require(colours >= 1, "digits_coloured colours", expected="1 or more", got=colours)
    grey = digits(data_dir, test_fraction=test_fraction, seed=seed)
    tests = {name: colour_in(images, 1, derive_seed(seed, "hues", name)) for name, images in grey.tests.items()}
    return Data(colour_in(grey.train, colours, derive_seed(seed, "hues", "train")), tests)


def colour_in(images: ImageSet, copies: int, seed: int) -> ImageSet:
    """Return uint8 images (N * copies, 3, H, W), each source in so many random hues, ``hue_deg`` in the table.

    Red, green and blue of the hue h are ``|(h / 60 + k) mod 6 - 3| - 1``, k = 0, 4, 2, cut to 0..1.
    """
    place_N = np.repeat(np.arange(len(images)), copies)
    hue_N = np.random.default_rng(seed).uniform(0, 360, len(place_N))
    share_N3 = np.clip(np.abs((hue_N[:, None] / 60 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    colour_N3HW = np.round(share_N3[:, :, None, None] * images.image_NHW[place_N, None]).astype(np.uint8)
    ids = np.array([f"{images.source_id_N[place]}_{i % copies}" for i, place in enumerate(place_N)])
    return replace(
        images,
        image_NHW=colour_N3HW,
        label_N=images.label_N[place_N],
        source_id_N=ids,
        table=pd.DataFrame({"hue_deg": hue_N}),
    )
