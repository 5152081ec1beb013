"""What is measured of masks beside their overlap: turned galaxies, lengths, volunteers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from equirgz.data.preprocess import Preprocessing
from equirgz.data.simulate.spirals.synthetic_spirals import synthetic_spirals
from equirgz.errors import InputError
from equirgz.grid.further.mask_rows import mask_rows
from equirgz.grid.further.needs import check_further
from equirgz.grid.plan.grid import make_grid


def answers(ask, probability=None):
    data = synthetic_spirals(n_train=2, n_test=24, size_px=33)
    test = Preprocessing(33, stretch="linear")(data.tests["test"])
    p_NKHW = test.map_NKHW if probability is None else probability(test)
    config = SimpleNamespace(data=SimpleNamespace(mask=True, stretch="linear"))
    run = SimpleNamespace(config=config, task=SimpleNamespace(parts=("bar", "arms")))
    return SimpleNamespace(run=run, sets={"test": test}, ask=ask, probability_NK=lambda _: p_NKHW)


def two(x_NCHW):
    return np.concatenate([x_NCHW, x_NCHW], 1)[None]


def measured(rows):
    return {(row["metric"], row.get("angle_deg")): row["value"] for row in rows}


def test_the_truth_is_as_long_as_the_truth_and_nearer_than_volunteers():
    found = measured(mask_rows(answers(two)))
    assert found["masks/length_spearman/bar", None] > 0.9 and 0.7 < found["masks/length_ratio/bar", None] < 1.1
    assert found["masks/nearer_than_volunteers/bar", None] == found["masks/nearer_than_volunteers/arms", None] == 100
    assert 0.3 < found["masks/volunteer_iou/arms", None] < found["masks/majority_iou/arms", None] < 1
    assert not any("length" in name and "arms" in name for name, _ in found)


def test_masks_of_nothing_are_further_than_volunteers():
    found = measured(mask_rows(answers(two, lambda test: 0 * test.map_NKHW)))
    assert found["masks/nearer_than_volunteers/bar", None] == 0
    assert found["masks/length_spearman/bar", None] is None


def test_the_light_in_masks_is_that_of_the_truth_and_of_half_a_mask_less():
    found = measured(mask_rows(answers(two)))
    for part in ("bar", "arms"):
        assert found[f"masks/flux_ratio/{part}", None] == pytest.approx(1)
        assert found[f"masks/flux_spearman/{part}", None] == pytest.approx(1)
    left = np.arange(33) < 16
    half = measured(mask_rows(answers(two, lambda test: left * test.map_NKHW)))
    assert 0.3 < half["masks/flux_ratio/bar", None] < 0.7
    of_nothing = measured(mask_rows(answers(two, lambda test: 0 * test.map_NKHW)))
    assert of_nothing["masks/flux_ratio/bar", None] is None and of_nothing["masks/flux_spearman/bar", None] is None
    stretched = answers(two)
    stretched.run.config.data.stretch = "asinh"
    assert not any("flux" in metric for metric, _ in measured(mask_rows(stretched)))


def test_what_turns_with_the_image_has_no_rotation_error_and_what_stands_has():
    def pixels(test):
        return two(test.x_NCHW)[0]

    turning = measured(mask_rows(answers(two, pixels)))
    assert turning["masks/rotation_error", 90.0] < 1e-6 < turning["masks/rotation_error", 45.0] < 0.3
    fixed = np.arange(33.0)[None, None, :, None] * np.ones((24, 2, 1, 33))
    standing = measured(mask_rows(answers(lambda x: fixed[None], lambda _: fixed)))
    assert standing["masks/rotation_error", 90.0] > 0.3


def test_they_are_measured_of_masks_alone():
    document = {"name": "n", "base": {"evaluation": {"further": ["masks"]}}, "axes": {"group": ["C1"]}}
    with pytest.raises(InputError, match="further: masks: expected the task segmentation, got classification"):
        check_further(make_grid(document).runs[0])
