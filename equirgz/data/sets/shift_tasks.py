"""Tasks of domain adaptation: labelled sources in one domain, the same classes unlabelled in another.

Each gives ``train`` and ``test`` in the source domain, ``test_shift`` and ``unlabelled`` in the target
domain. The third task is ``synthetic_fr`` with ``shift`` and ``n_unlabelled``. Legend: N sources, H W pixels.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from equirgz.data.datasets import DATASETS
from equirgz.data.imageset import Data, ImageSet
from equirgz.data.overlap.leaks import OBJECT
from equirgz.data.preprocess import crop_centre, resample
from equirgz.data.sets.batch_sets import frdeep_first, frdeep_nvss
from equirgz.data.sets.digits import digits
from equirgz.data.splits.labelled import stratified_order
from equirgz.errors import InputError, require
from equirgz.seeding import derive_seed

FIRST_SIZE = 150  # px of 1.8 arcsec


def cut_and_enlarge(images: ImageSet, size: int, size_out: int) -> ImageSet:
    """Return the central ``size`` pixels, scaled anew to 0..255 and enlarged to ``size_out``, uint8.

    Sources outside the cut no longer set the scale. An image without any signal in the cut is all 0.
    """
    image_NHW = crop_centre(images.image_NHW, size).astype(np.float32)
    low, high = image_NHW.min((1, 2), keepdims=True), image_NHW.max((1, 2), keepdims=True)
    image_NHW = (image_NHW - low) / np.where(high > low, high - low, 1) * 255
    return replace(
        images,
        image_NHW=np.round(resample(image_NHW, size_out)).astype(np.uint8),
        pixel_scale_arcsec=images.pixel_scale_arcsec * size / size_out,
    )


@DATASETS.register("frdeep_first_to_nvss")
def frdeep_first_to_nvss(data_dir: Path | None = None, /, nvss_size: int = 18) -> Data:
    """FR-DEEP with labels in FIRST and without in NVSS, 150 px a side in both.

    ``nvss_size`` pixels of 15 arcsec are enlarged to 150; the default covers the 270 arcsec of the
    FIRST images. An object that one survey tests on is trained on in neither: 512 labelled sources,
    510 unlabelled ones, and 50 test sources in each survey (5 objects in common).
    """
    first, nvss = frdeep_first(data_dir), frdeep_nvss(data_dir)
    size = nvss.train.image_size
    if not 1 <= nvss_size <= size:
        raise InputError("frdeep_first_to_nvss nvss_size", expected=f"1 to {size}", got=nvss_size)
    train, test = first.train, first.tests["test"]
    target, target_test = (cut_and_enlarge(part, nvss_size, FIRST_SIZE) for part in (nvss.train, nvss.tests["test"]))
    return Data(
        _without(train, target_test),
        {"test": test, "test_shift": target_test},
        _without(target, test).without_labels(),
    )


def _without(images: ImageSet, others: ImageSet) -> ImageSet:
    """Return the FR-DEEP sources of ``images`` that are no object of ``others``."""
    return images.subset(~images.table[OBJECT].isin(others.table[OBJECT]).to_numpy())


@DATASETS.register("digits_noisy")
def digits_noisy(
    data_dir: Path | None = None, /, noise: float = 0.4, test_fraction: float = 0.2, seed: int = 0
) -> Data:
    """scikit-learn's digits: half of the training digits clean with labels, the other half noisy without.

    ``noise`` is the standard deviation of the Gaussian noise of each of the 8 x 8 pixels as a share of
    full scale, before clipping to 0..255. The test digits are the same in both domains.
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
