"""Sums over pixels, calibration of pixels and lengths of masks, against brute force and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from equirgz.errors import InputError
from equirgz.metrics.masks import (
    N_BINS,
    SUMS,
    calibration_error,
    count_pixels,
    dice,
    intersection_over_union,
    measure_length,
)


def maps(seed=0):
    rng = np.random.default_rng(seed)
    p_NKHW, target_NKHW = rng.random((3, 2, 5, 5)), rng.integers(0, 16, (3, 2, 5, 5)) / 15
    p_NKHW[0, 0, 0, :2] = (0.0, 1.0)
    target_NKHW[rng.random(target_NKHW.shape) < 0.2] = np.nan
    return p_NKHW, target_NKHW


def test_sums_against_loops():
    p_NKHW, target_NKHW = maps()
    sums_NKS = count_pixels(p_NKHW, target_NKHW)
    assert sums_NKS.shape == (3, 2, len(SUMS))
    for i in range(3):
        for k in range(2):
            expected = dict.fromkeys(SUMS, 0.0)
            for p, s in zip(p_NKHW[i, k].flat, target_NKHW[i, k].flat, strict=True):
                if np.isnan(s):
                    continue
                b = min(int(p * N_BINS), N_BINS - 1)
                expected["asked"] += 1
                expected["said"] += p >= 0.5
                expected["true"] += s >= 0.5
                expected["both"] += p >= 0.5 and s >= 0.5
                expected["squared_error"] += (p - s) ** 2
                expected[f"count_{b}"] += 1
                expected[f"predicted_{b}"] += p
                expected[f"observed_{b}"] += s
            np.testing.assert_allclose(sums_NKS[i, k], list(expected.values()), atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 1, 5, 5), (2, 3, 1, 1), (1, 3, 5, 5), (3, 5, 5)])
def test_masks_of_another_size_are_not_stretched_over_the_true_ones(shape):
    with pytest.raises(InputError, match=r"predicted masks: expected .*\(2, 3, 5, 5\), got") as caught:
        count_pixels(np.zeros(shape), np.zeros((2, 3, 5, 5)))
    assert "\n" not in str(caught.value)


def test_the_calibration_error_is_that_of_all_pixels_in_bins():
    p_NKHW, target_NKHW = maps(1)
    known = np.isfinite(target_NKHW)
    p, s = p_NKHW[known], target_NKHW[known]
    bins = np.minimum((p * N_BINS).astype(int), N_BINS - 1)
    expected = sum(abs(p[bins == b].mean() - s[bins == b].mean()) * (bins == b).mean() for b in set(bins))
    assert calibration_error(count_pixels(p_NKHW, target_NKHW)) == pytest.approx(expected)
    exact = np.where(np.random.default_rng(0).random((1, 1, 400, 400)) < 0.3, 1.0, 0.0)
    assert calibration_error(count_pixels(np.full_like(exact, 0.3), exact)) < 0.01
    assert calibration_error(count_pixels(np.full_like(exact, 0.9), exact)) == pytest.approx(0.6, abs=0.01)
    assert np.isnan(calibration_error(count_pixels(exact, np.full_like(exact, np.nan))))


def test_overlap_of_equal_disjoint_and_empty_masks():
    mask = np.zeros((1, 1, 4, 4))
    mask[..., :2] = 1
    same, other, none = (count_pixels(p, mask) for p in (mask, 1 - mask, 0 * mask))
    assert [float(intersection_over_union(s)[0, 0]) for s in (same, other, none)] == [1, 0, 0]
    assert float(dice(same)[0, 0]) == 1
    assert np.isnan(intersection_over_union(count_pixels(0 * mask, 0 * mask)))


@pytest.mark.parametrize("angle_deg", [0, 30, 45, 90, 117])
def test_the_length_of_a_bar_at_any_angle(angle_deg):
    axis = np.arange(61) - 30.0
    x, y = np.meshgrid(axis, -axis)
    turn = np.deg2rad(angle_deg)
    along, across = x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)
    bar_HW = (np.abs(along) <= 15) & (np.abs(across) <= 3)
    assert measure_length(bar_HW) == pytest.approx(31, abs=1.6)
    bar_HW[0, 0] = True  # a speck elsewhere is another region
    assert measure_length(bar_HW) == pytest.approx(31, abs=1.6)


def test_the_length_of_nothing_and_of_one_pixel():
    mask_HW = np.zeros((5, 5), bool)
    assert measure_length(mask_HW) == 0
    mask_HW[2, 2] = True
    assert measure_length(mask_HW) == 1
