"""What probes read beside the control: points whose class and hidden number are known, and what is left out."""

from __future__ import annotations

import numpy as np
import pytest

from equirgz.residual import beside_control
from equirgz.residual.beside_control import HOWS, Left, leave_class_out, measure_left


def make_points(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features that name the class by the first, that never vary in the second, and the class."""
    class_N = np.arange(n) % 2
    noise_N2 = np.random.default_rng(seed).normal(size=(n, 2))
    return np.stack([6.0 * class_N + noise_N2[:, 0], np.full(n, 3.0), noise_N2[:, 1]], 1), class_N


@pytest.fixture(scope="module")
def found():
    patch = pytest.MonkeyPatch()
    patch.setattr(beside_control, "EPOCHS", 120)
    fitted, held = make_points(1000, 0), make_points(400, 1)
    parts = list(leave_class_out(fitted, held, seed=0))
    patch.undo()
    columns = {"class": held[1], "hidden": held[0][:, 2], "strange": np.abs(held[0][:, 2]) > 2}
    values = {key: value for left in parts for key, value in measure_left(left, columns).items()}
    return parts, values


def test_the_class_goes_by_the_guidance_and_not_where_it_is_shuffled(found):
    parts, values = found
    assert [left.how for left in parts] == list(HOWS)
    assert {left.z_NP.shape for left in parts} == {(400, 2)}, "a feature that never varies is left out"
    for how in ("latents", "told_0", "shuffled_1"):
        assert values[f"accuracy_nonlinear/class/{how}"] > 0.9
    assert values["accuracy_nonlinear/class/told_1"] < 0.6 < values["accuracy_nonlinear/class/told_0.5"]
    assert values["r2_nonlinear/hidden/told_1"] > 0.9
    assert values["chance/class"] == 0.5 and values["chance/hidden"] == 0


def test_strangers_are_found_and_trips_end_where_they_began(found):
    _, values = found
    assert values["anomaly_auroc/strange/told_1"] > values["chance/strange"] + 0.2
    trips = {key: value for key, value in values.items() if key.startswith("round_trip")}
    assert set(trips) == {f"round_trip/{how}" for how in HOWS[1:]} and max(trips.values()) < 1e-2


def test_strangers_are_left_out_where_all_are_alike():
    left = Left("latents", np.random.default_rng(0).normal(size=(40, 2)))
    assert measure_left(left, {"strange": np.zeros(40, bool)}) == {}
