"""Masks of core, jets and lobes are the law on the simulator's own components, in register with the images."""

from __future__ import annotations

import numpy as np

from equirgz.data.load import load_data
from equirgz.data.simulate.stream import BLOCK, stream_sources
from equirgz.data.simulate.synthetic_radio import MASK_SHARE, MASK_SIGMA, PARTS, add_masks, synthetic_radio

SMALL = {"n_train": 70, "n_test": 8, "size_px": 65}


def test_masks_follow_the_law_and_images_stay_what_they_were():
    with_masks, without = synthetic_radio(**SMALL, masks=True), synthetic_radio(**SMALL)
    np.testing.assert_array_equal(with_masks.train.image_NHW, without.train.image_NHW)
    assert with_masks.train.checksum != without.train.checksum and without.train.map_NKHW is None
    stream = stream_sources("FIRST", labels=["FRI", "FRII"], size_px=65, name="synthetic_radio/train")
    maps = stream.component_maps(0, 70)
    part = np.stack([maps[:, 0], maps[:, 1], maps[:, 2] + maps[:, 3]], 1)
    rms = with_masks.train.table["rms_mjy_per_beam"].to_numpy()
    for n in (0, 33, 69):  # the last is of a second block
        bright = part[n] >= np.float32(MASK_SIGMA * rms[n])
        np.testing.assert_array_equal(
            with_masks.train.map_NKHW[n] == 1, bright & (part[n] >= MASK_SHARE * part[n].sum(0))
        )


def test_what_is_masked_is_seen_and_has_most_of_the_flux():
    test = synthetic_radio(**SMALL, masks=True).tests["test"]
    inside = test.map_NKHW.any(1)
    flux = test.image_NHW.astype(float)
    assert test.map_names == PARTS and 0.7 < (flux * inside).sum() / flux.sum() <= 1
    assert (flux[inside].mean()) > 10 * flux[~inside].mean()
    moved = np.roll(inside, 20, axis=2)  # out of register: most of the flux is lost
    assert (flux * moved).sum() < 0.5 * (flux * inside).sum()


def test_an_endless_training_set_has_masks_of_its_own_sources():
    data = load_data("synthetic_radio", image_size=33, params=SMALL | {"masks": True})
    assert data.train.map_names == PARTS and data.train.map_NKHW.shape[-2:] == (33, 33)
    assert synthetic_radio(**SMALL, masks=True, stream=True).endless(0, 4).map_names == PARTS
    stream = stream_sources("FIRST", labels=["FRI", "FRII"], size_px=33)
    later = add_masks(stream.image_set(5, BLOCK + 3), stream, BLOCK + 3)
    whole = add_masks(stream.image_set(2 * BLOCK), stream)
    np.testing.assert_array_equal(later.map_NKHW, whole.map_NKHW[BLOCK + 3 : BLOCK + 8])
