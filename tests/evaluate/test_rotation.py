"""Rotation curves: invariant classifiers are flat, others are not; rows against hand-made numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from equirgz.errors import InputError
from equirgz.evaluate import predict, rotation_curve, rotation_rows
from equirgz.evaluate.rotation import make_angles
from tests.evaluate.networks import PlainConv, ToyD4


def test_an_equivariant_classifier_is_flat_at_quarter_turns_and_a_plain_one_is_not() -> None:
    torch.manual_seed(0)
    x = torch.rand(5, 1, 17, 17)
    toy, plain = ToyD4(), PlainConv()
    flat = rotation_curve(lambda t: predict(toy, t), x, [0, 90, 180, 270])
    assert flat.shape == (4, 5, 3) and np.ptp(flat, 0).max() < 1e-6
    moving = rotation_curve(lambda t: predict(plain, t), x, [0, 90, 180, 270])
    assert np.ptp(moving, 0).max() > 1e-3


def test_images_turn_counter_clockwise_under_the_mask() -> None:
    x = np.zeros((1, 9, 9), np.float32)
    x[0, 4, 8] = 1.0  # right
    x[0, 0, 0] = 5.0  # a corner, outside the disk
    seen: list[np.ndarray] = []

    def spy(images: torch.Tensor) -> np.ndarray:
        seen.append(images.numpy()[0, 0])
        return np.ones((1, 2)) / 2

    rotation_curve(spy, x, [0, 90])
    assert seen[0][4, 8] == 1 and seen[1][0, 4] == 1 and seen[0].sum() == seen[1].sum() == 1


def test_rows_by_hand() -> None:
    p = np.array([[[0.8, 0.2], [0.3, 0.7]], [[0.4, 0.6], [0.0, 1.0]]])  # two angles, two sources
    rows = rotation_rows(p, np.array([0, 1]), [0.0, 45.0])
    value = {(r["metric"], r["angle_deg"]): r["value"] for r in rows}
    assert value["rotation/error", 0.0] == 0 and value["rotation/error", 45.0] == 50
    assert value["rotation/flip_rate", 45.0] == 50
    assert value["rotation/confidence", 0.0] == pytest.approx(0.75)
    entropy = -(0.4 * np.log(0.4) + 0.6 * np.log(0.6)) / 2
    assert value["rotation/entropy", 45.0] == pytest.approx(entropy)  # 0 log 0 = 0
    assert value["rotation/probability_spread", None] == pytest.approx((0.2 + 0.15) / 2)
    assert all(r["n"] == 2 for r in rows) and len(rows) == 9


def test_angles_and_bad_input() -> None:
    assert make_angles(4) == [0, 90, 180, 270]
    with pytest.raises(InputError, match="at least 1"):
        make_angles(0)
    with pytest.raises(InputError, match=r"\(2, 3, K\)"):
        rotation_rows(np.ones((3, 2, 2)) / 2, np.zeros(3, int), [0, 90])
