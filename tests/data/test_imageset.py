import numpy as np
import pandas as pd
import pytest

from equirgz.data import Data, ImageSet
from equirgz.errors import DataError


def make_set(n=6, **changes):
    fields = {
        "name": "toy",
        "image_NHW": np.arange(n * 9, dtype=np.uint8).reshape(n, 3, 3),
        "label_N": np.arange(n) % 2,
        "source_id_N": np.array([f"s{i}" for i in range(n)]),
        "class_names": ("a", "b"),
        "pixel_scale_arcsec": 1.8,
        "position_deg_N2": np.stack([np.arange(n), -np.arange(n)], 1),
        "table": pd.DataFrame({"z": np.arange(n) / 10}),
    }
    return ImageSet(**{**fields, **changes})


def test_subset_keeps_every_field_of_the_chosen_sources_in_order():
    images = make_set()
    chosen = images.subset(np.array([4, 1]))
    assert chosen.source_id_N.tolist() == ["s4", "s1"]
    assert chosen.label_N.tolist() == [0, 1]
    assert chosen.position_deg_N2.tolist() == [[4, -4], [1, -1]]
    assert chosen.table["z"].tolist() == [0.4, 0.1]
    assert (chosen.image_NHW == images.image_NHW[[4, 1]]).all()
    assert images.subset(images.label_N == 1).source_id_N.tolist() == ["s1", "s3", "s5"]


@pytest.mark.parametrize("change", ["pixel", "label", "names"])
def test_checksum_follows_pixels_labels_and_class_names(change):
    images = make_set()
    assert images.checksum == make_set().checksum
    if change == "pixel":
        pixels = images.image_NHW.copy()
        pixels[0, 0, 0] += 1
        other = make_set(image_NHW=pixels)
    elif change == "label":
        other = make_set(label_N=1 - images.label_N)
    else:
        other = make_set(class_names=("a", "c"))
    assert other.checksum != images.checksum
    assert Data(images, {"test": other}).checksum != Data(images, {"test": images}).checksum


def test_checksum_of_simulated_sets_is_that_of_their_recipe():
    images = make_set(recipe="sim v1")
    rounded = make_set(recipe="sim v1", image_NHW=images.image_NHW ^ 1)
    assert images.checksum == rounded.checksum != make_set(recipe="sim v2").checksum
    assert images.subset(np.arange(3)).checksum != images.subset(np.arange(1, 4)).checksum


def test_foreign_byte_order_becomes_native():
    images = make_set(image_NHW=np.ones((6, 3, 3), ">f4"))
    assert images.image_NHW.dtype.isnative and (images.image_NHW == 1).all()


def test_colour_images_keep_their_channels():
    images = make_set(image_NHW=np.zeros((6, 3, 4, 4), np.uint8))
    assert (images.n_channels, images.image_size, images.x_NCHW.shape) == (3, 4, (6, 3, 4, 4))
    assert make_set().x_NCHW.shape == (6, 1, 3, 3)


def test_counts_name_the_unlabelled():
    assert make_set().without_labels().class_counts() == {"a": 0, "b": 0, "unlabelled": 6}
    assert make_set().class_counts() == {"a": 3, "b": 3}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"label_N": np.zeros(5)}, "one per image"),
        ({"label_N": np.full(6, 2)}, "-1 to 1, got 2"),
        ({"label_N": np.full(6, -2)}, "got -2"),
        ({"image_NHW": np.zeros((6, 9))}, "got (6, 9)"),
        ({"position_deg_N2": np.zeros((5, 2))}, "positions"),
    ],
)
def test_disagreeing_fields_are_refused(changes, expected):
    with pytest.raises(DataError) as caught:
        make_set(**changes)
    assert expected in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 9, 9, 3), np.uint8), r"\(2, 9, 9, 3\); channels last become first"),
        (np.ma.masked_array(np.ones((2, 9, 9)), np.eye(9)[None] > [[[0]], [[2]]]), "9 masked pixels; fill them"),
        (np.ones((2, 9, 9)) + 1j, "complex numbers"),
        (np.zeros((9, 9)), r"one image is images\[None\]"),
    ],
)
def test_images_that_would_lose_their_meaning_are_refused(images, message):
    with pytest.raises(DataError, match=message) as refused:
        ImageSet("set", images, np.full(len(images), -1), np.arange(len(images)).astype(str))
    assert "\n" not in str(refused.value)
