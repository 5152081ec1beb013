"""Simulated spirals: what is drawn follows the formulas, masks follow what is drawn, votes follow the masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from equirgz.data.load import load_data
from equirgz.data.simulate.spirals.brightness import PARTS, SHARE, render_galaxy
from equirgz.data.simulate.spirals.galaxy import Galaxy, draw_galaxy
from equirgz.data.simulate.spirals.synthetic_spirals import synthetic_spirals
from equirgz.data.simulate.spirals.volunteers import draw_masks
from equirgz.errors import InputError
from equirgz.metrics.masks import measure_length

GALAXY = Galaxy(
    scale_length=8.0, axis_ratio=1.0, position_angle=0.3, bulge_share=0.1, bulge_index=2.0, bulge_radius=2.0,
    bar_length=12.0, bar_ratio=0.35, bar_angle=0.5, bar_height=2.0,
    n_arms=2, pitch=np.deg2rad(20), sense=1, arm_height=3.0, arm_width=1.5,
)  # fmt: skip
SMALL = {"n_train": 6, "n_test": 5, "size_px": 21}


def test_arms_are_logarithmic_spirals():
    """At every radius the brightest angle is ln(R / R_0) / tan(pitch) + phase, on each of the arms."""
    _, share_KHW = render_galaxy(replace(GALAXY, bar_length=0.0, position_angle=0.0), 81, psf_px=0.1)
    axis = np.arange(81) - 40.0
    column, row_up = np.meshgrid(axis, -axis)
    radius, theta = np.hypot(column, row_up), np.arctan2(row_up, column)
    for wanted in (8, 12, 18, 24):
        ring = np.abs(radius - wanted) < 0.5
        best = np.argmax(np.where(ring, share_KHW[1], -1))
        ridge = np.log(radius.flat[best] / (0.6 * 8)) / np.tan(GALAXY.pitch) + 0.5
        off = (theta.flat[best] - ridge + np.pi / 2) % np.pi - np.pi / 2
        assert abs(off) * wanted * np.sin(GALAXY.pitch) < 1.0  # within a pixel across the arm


@pytest.mark.parametrize("bar_angle", [0.0, 0.7, np.pi / 2])
def test_a_bar_is_as_long_as_it_is_seen(bar_angle):
    galaxy = replace(GALAXY, n_arms=0, axis_ratio=0.6, bar_angle=bar_angle)
    _, share_KHW = render_galaxy(galaxy, 61, psf_px=0.5)
    assert measure_length(share_KHW[0] > SHARE) == pytest.approx(galaxy.seen_bar_length, rel=0.2)
    assert not (share_KHW[1] > 0).any()


def test_a_turned_galaxy_is_the_turned_image():
    image_HW, share_KHW = render_galaxy(GALAXY, 41, psf_px=1.0)
    turned_HW, turned_KHW = render_galaxy(replace(GALAXY, position_angle=0.3 + np.pi / 2), 41, psf_px=1.0)
    np.testing.assert_allclose(turned_HW, np.rot90(image_HW), rtol=1e-6)
    np.testing.assert_allclose(turned_KHW, np.rot90(share_KHW, axes=(1, 2)), atol=1e-6)


def test_volunteers_err_as_they_are_told():
    truth_HW = np.zeros((21, 21), bool)
    truth_HW[8:13, 6:15] = True
    rng = np.random.default_rng
    exact = draw_masks(truth_HW, 4, rng(0), miss=0, shift_px=0, dilation_px=0)
    assert (exact == truth_HW).all()
    assert not draw_masks(truth_HW, 4, rng(0), miss=1, shift_px=0, dilation_px=0).any()
    assert not draw_masks(np.zeros_like(truth_HW), 4, rng(0), miss=0, shift_px=2, dilation_px=2).any()
    many = draw_masks(truth_HW, 400, rng(0), miss=0.25, shift_px=1, dilation_px=1)
    assert many.any((1, 2)).mean() == pytest.approx(0.75, abs=0.08)
    seen = many[many.any((1, 2))]
    centre_V = np.array([np.argwhere(mask).mean(0) for mask in seen])
    assert np.abs(centre_V.mean(0) - (10, 10)).max() < 0.2 and 0.7 < centre_V.std() < 1.3
    assert seen.sum((1, 2)).mean() > truth_HW.sum()


def test_galaxies_do_not_depend_on_how_many_follow():
    few, many = synthetic_spirals(**SMALL), synthetic_spirals(**SMALL | {"n_train": 8})
    np.testing.assert_array_equal(few.train.image_NHW, many.train.image_NHW[:6])
    np.testing.assert_array_equal(few.train.map_NKHW, many.train.map_NKHW[:6])
    assert few.train.checksum == synthetic_spirals(**SMALL).train.checksum
    assert synthetic_spirals(**SMALL, seed=1).train.checksum != few.train.checksum
    assert synthetic_spirals(**SMALL, miss=0.3).train.checksum != few.train.checksum


def test_maps_are_shares_of_votes_absence_is_zero_and_what_was_not_asked_is_missing():
    data = synthetic_spirals(n_train=40, n_test=20, size_px=21, not_asked=0.3)
    share_NKHW = data.train.map_NKHW
    missing_NK = np.isnan(share_NKHW).all((2, 3))
    assert (np.isnan(share_NKHW).any((2, 3)) == missing_NK).all() and 0.1 < missing_NK.mean() < 0.5
    np.testing.assert_allclose(np.nan_to_num(share_NKHW) * 15, np.round(np.nan_to_num(share_NKHW) * 15), atol=1e-5)
    table = data.train.table
    for k, has_N in enumerate((np.isfinite(table["bar_length_arcsec"]), table["n_arms"] > 0)):
        asked_N = ~missing_NK[:, k]
        assert not share_NKHW[asked_N & ~has_N, k].any() and share_NKHW[asked_N & has_N, k].any((1, 2)).all()
    truth_NKHW = data.tests["test"].map_NKHW
    assert set(np.unique(truth_NKHW)) == {0, 1} and data.train.map_names == PARTS
    votes = data.tests["test_votes"]
    np.testing.assert_array_equal(votes.image_NHW, data.tests["test"].image_NHW)
    assert np.isfinite(votes.map_NKHW).all() and data.tests["test"].checksum != votes.checksum


def test_everything_is_off_where_nothing_is_there():
    data = synthetic_spirals(**SMALL, bar_share=0, arm_share=0)
    assert set(data.train.label_N) == {0} and not np.nan_to_num(data.train.map_NKHW).any()
    assert draw_galaxy(21, 1, 1, np.random.default_rng(0)).n_arms == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"miss": 1.2}, "miss: expected a share in \\[0, 1\\], got 1.2"),
        ({"not_asked": 1}, "not_asked: expected a share below 1, got 1"),
        ({"volunteers": 0}, "volunteers >= 1, got 21 and 0"),
        ({"size_px": 5}, "size_px >= 17"),
        ({"shift": -1}, "shift, dilation >= 0"),
    ],
)
def test_bad_options_are_one_line(options, words):
    with pytest.raises(InputError, match=words) as caught:
        synthetic_spirals(**SMALL | options)
    assert "\n" not in str(caught.value)


def test_the_set_is_registered():
    assert load_data("synthetic_spirals", image_size=21, params=SMALL).train.map_names == PARTS
