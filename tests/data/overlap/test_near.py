"""Planted copies are found through encodings, sizes, noise and turns; what is merely alike does not chain."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from equirgz.data.imageset import ImageSet
from equirgz.data.overlap.near import CERTAIN, MAY_BE, find_near


def make_set(image_NHW, scale=float("nan")):
    n = len(image_NHW)
    return ImageSet("set", np.asarray(image_NHW), np.full(n, -1), np.arange(n).astype(str), (), scale)


def draw_sources(n, seed=0, size=48):
    """Return sources of a few lobes each, bytes, with noise of 1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    out = rng.normal(5, 1, (n, size, size))
    for image in out:
        for _ in range(rng.integers(3, 7)):
            row, column = rng.uniform(0.25, 0.75, 2)
            wide, narrow, angle = rng.uniform(0.03, 0.08), rng.uniform(0.02, 0.04), rng.uniform(0, np.pi)
            along = (x - column) * np.cos(angle) + (y - row) * np.sin(angle)
            across = (y - row) * np.cos(angle) - (x - column) * np.sin(angle)
            image += rng.uniform(60, 230) * np.exp(-(along**2) / 2 / wide**2 - across**2 / 2 / narrow**2)
    return np.clip(out, 0, 255).astype(np.uint8)


def encode(image, quality=70):
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(content, "JPEG", quality=quality)
    return np.asarray(Image.open(content))


CHANGES = {
    "quarter turn": lambda image, rng: np.rot90(image, rng.integers(1, 4)),
    "reflection": lambda image, rng: image[:, ::-1],
    "any turn": lambda image, rng: ndimage.rotate(image, rng.uniform(0, 360), reshape=False, order=1),
    "encoding": lambda image, rng: encode(image),
    "brightness": lambda image, rng: (image * rng.uniform(0.4, 0.9)).astype(np.uint8),
    "noise": lambda image, rng: np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8),
    "size": lambda image, rng: np.asarray(
        Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR).resize(image.shape, Image.Resampling.BICUBIC)
    ),
}


@pytest.mark.parametrize("change", CHANGES)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**16), n_planted=st.integers(1, 8))
def test_planted_copies_are_found(change, seed, n_planted):
    rng = np.random.default_rng(seed)
    base_NHW = draw_sources(32, seed)
    source_M = rng.choice(32, n_planted, replace=False)
    planted = np.stack([CHANGES[change](base_NHW[k], rng) for k in source_M])
    near_N = find_near([make_set(np.concatenate([base_NHW, planted]))])
    assert (near_N[source_M] == near_N[32:]).all()
    assert len(set(near_N[:32])) >= 30  # the sources themselves stay apart, but for a chance pair


def test_copies_of_another_size_are_found_in_another_set():
    base_NHW = draw_sources(24)
    small = [np.asarray(Image.fromarray(np.rot90(x)).resize((36, 36), Image.Resampling.BILINEAR)) for x in base_NHW[:6]]
    near_N = find_near([make_set(base_NHW), make_set(np.stack(small))], ratio=CERTAIN)
    assert (near_N[:6] == near_N[24:]).all() and len(set(near_N[:24])) == 24


def test_a_crowd_of_point_sources_does_not_chain():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:33, :33] - 16
    width_N = rng.uniform(1.5, 3, 300)
    points = np.exp(-(x**2 + y**2) / 2 / width_N[:, None, None] ** 2) * 200 + rng.normal(0, 1, (300, 33, 33))
    near_N = find_near([make_set(np.clip(points, 0, 255).astype(np.uint8))])
    assert np.bincount(near_N).max() <= 32 and len(set(near_N)) > 200


def test_one_class_of_images_that_look_alike_is_no_group():
    rng = np.random.default_rng(0)
    shape = draw_sources(2)
    noisy = np.clip(np.repeat(shape, 8, 0) + rng.normal(0, 4, (16, 48, 48)), 0, 255).astype(np.uint8)
    assert np.bincount(find_near([make_set(noisy)])).max() <= 4  # a quarter of 16


def test_blank_single_and_coloured_images():
    blank = make_set(np.full((5, 9, 9), 7, np.uint8))
    assert len(set(find_near([blank]))) == 5 and find_near([make_set(draw_sources(1))]).tolist() == [0]
    assert len(find_near([blank.subset(np.zeros(0, int))])) == 0
    grey = draw_sources(12)
    coloured = np.repeat(grey[:, None], 3, 1)
    near_N = find_near([make_set(coloured[:, :, :40]), make_set(coloured[:4, :, :40, ::-1])], ratio=MAY_BE)
    assert (near_N[:4] == near_N[12:]).all()
