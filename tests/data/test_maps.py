"""Maps in register with the images: checked, hashed, kept by every step, cut and turned with the pixels."""

from __future__ import annotations

import numpy as np
import pytest

from equirgz.data.imageset import ImageSet
from equirgz.data.preprocess import Preprocessing, crop_centre
from equirgz.errors import DataError


def make_set(n: int = 4, size: int = 9, **changes) -> ImageSet:
    rng = np.random.default_rng(n)
    fields = {
        "name": "toy",
        "image_NHW": rng.random((n, size, size)).astype(np.float32),
        "label_N": np.full(n, -1),
        "source_id_N": np.array([f"s{n}_{i}" for i in range(n)]),
        "map_NKHW": (rng.random((n, 2, size, size)) > 0.5).astype(np.float32),
        "map_names": ("bar", "arms"),
    }
    return ImageSet(**{**fields, **changes})


def test_maps_follow_their_sources():
    images, other = make_set(), make_set(3)
    np.testing.assert_array_equal(images.subset(np.array([2, 0])).map_NKHW, images.map_NKHW[[2, 0]])
    joined = images.joined(other, "both")
    np.testing.assert_array_equal(joined.map_NKHW, np.concatenate([images.map_NKHW, other.map_NKHW]))
    assert images.without_labels().map_names == ("bar", "arms")
    with pytest.raises(DataError, match="the same map_names"):
        images.joined(make_set(3, map_NKHW=None, map_names=()), "both")


def test_the_checksum_follows_maps_and_their_names():
    images = make_set()
    sums = {
        images.checksum,
        make_set(map_NKHW=1 - images.map_NKHW).checksum,
        make_set(map_names=("bar", "rings")).checksum,
        make_set(map_NKHW=None, map_names=()).checksum,
    }
    assert len(sums) == 4 and images.checksum == make_set().checksum


@pytest.mark.parametrize(
    "changes",
    [
        {"map_NKHW": np.zeros((4, 2, 9, 8))},
        {"map_NKHW": np.zeros((3, 2, 9, 9))},
        {"map_NKHW": np.zeros((4, 9, 9))},
        {"map_NKHW": None},
        {"map_names": ()},
        {"map_names": ("bar", "bar")},
    ],
)
def test_maps_out_of_register_are_one_line(changes):
    with pytest.raises(DataError, match=r"toy: maps: expected \(4, ., 9, 9\), in register with the images") as caught:
        make_set(**changes)
    assert "\n" not in str(caught.value)


def test_a_cut_moves_no_value_and_a_larger_pixel_holds_the_share_inside():
    images = make_set(size=12)
    cut = Preprocessing(8, crop=8, mask=False)(images)
    np.testing.assert_array_equal(cut.map_NKHW, crop_centre(images.map_NKHW, 8))
    shares = Preprocessing(4, mask=False)(images).map_NKHW
    np.testing.assert_allclose(shares, images.map_NKHW.reshape(4, 2, 4, 3, 4, 3).mean((3, 5)), atol=1e-6)


@pytest.mark.parametrize("mask", [True, False])
def test_maps_turn_with_the_images_to_the_last_bit(mask):
    images = make_set(size=13)
    images.map_NKHW[0, 0, 6, 6] = np.nan
    turned = make_set(
        size=13, image_NHW=np.rot90(images.image_NHW, 1, (-2, -1)), map_NKHW=np.rot90(images.map_NKHW, 1, (-2, -1))
    )
    before, after = (Preprocessing(5, crop=11, mask=mask)(each) for each in (images, turned))
    np.testing.assert_array_equal(after.map_NKHW, np.rot90(before.map_NKHW, 1, (-2, -1)))
    np.testing.assert_array_equal(after.image_NHW, np.rot90(before.image_NHW, 1, (-2, -1)))
    assert np.isnan(before.map_NKHW).any()
