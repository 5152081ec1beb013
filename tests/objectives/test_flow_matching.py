"""Flows against closed forms: Gaussian data have a velocity, a loss and a transport that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import nn

from equirgz.config import TrainConfig
from equirgz.errors import InputError
from equirgz.objectives.base import Batch
from equirgz.objectives.generative.condition import learn_condition
from equirgz.objectives.generative.flow_matching import FlowMatching
from equirgz.objectives.generative.ode import integrate
from equirgz.objectives.generative.velocity_field import VelocityField, guided_velocity
from equirgz.train import TrainImages, train


class GaussianField(nn.Module):
    """E[x1 - x0 | x_t] of data N(mean, deviation^2) and noise N(0, 1)."""

    def __init__(self, mean: float, deviation: float, error: float = 0.0) -> None:
        super().__init__()
        self.mean, self.deviation, self.error = mean, deviation, error

    def forward(self, x_BF, t_B, condition_BK=None, known_B=None):
        t = t_B[:, None]
        variance = (1 - t) ** 2 + (t * self.deviation) ** 2
        slope = (t * self.deviation**2 - (1 - t)) / variance
        return self.mean + slope * (x_BF - t * self.mean) + self.error


def batch(mean: float, deviation: float, n: int, seed: int = 0) -> Batch:
    x = mean + deviation * torch.randn(n, 4, 1, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Batch({"data": x}, torch.zeros(n, 1))


@pytest.mark.parametrize("deviation", [0.5, 1.0, 2.0])
def test_the_loss_of_gaussian_data_is_its_closed_form_and_no_other_field_has_less(deviation):
    torch.manual_seed(1)
    data = batch(3.0, deviation, 40_000)
    loss = float(FlowMatching(GaussianField(3.0, deviation)).training_step(data, 0, 1)[0])
    assert loss == pytest.approx(deviation * math.pi / 2, rel=0.02)
    worse = FlowMatching(GaussianField(3.0, deviation, error=0.3))
    assert float(worse.training_step(data, 0, 1)[0]) == pytest.approx(loss + 0.09, rel=0.05)


def test_the_transport_of_gaussian_data_standardises_them_and_errors_fall_with_the_square_of_the_step():
    field = GaussianField(2.0, 0.5)
    x = torch.linspace(0, 4, 9, dtype=torch.float64)[:, None]

    def velocity(x, t):
        return field(x, x.new_full((len(x),), t))

    z = integrate(velocity, x, 1.0, 0.0, 80)
    assert float((z - (x - 2.0) / 0.5).abs().max()) < 1e-3
    assert float((integrate(velocity, z, 0.0, 1.0, 80) - x).abs().max()) < 1e-3
    errors = [float(integrate(lambda x, t: x * math.cos(t), x, 0.0, 1.0, n)[-1]) / 4 for n in (20, 40, 80)]
    errors = [abs(factor - math.exp(math.sin(1.0))) for factor in errors]
    assert [errors[i] / errors[i + 1] for i in range(2)] == pytest.approx([4, 4], rel=0.15)


def test_the_solver_is_that_of_another_library_on_a_field_without_closed_form():
    torch.manual_seed(0)
    field = VelocityField(3, 2, width=16).double()
    x, told = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 2, dtype=torch.float64)

    def velocity(x, t):
        return guided_velocity(field, x, t, told, 0.5)

    def flat(t, y):
        with torch.no_grad():
            return velocity(torch.from_numpy(y.reshape(5, 3)), t).numpy().ravel()

    exact = solve_ivp(flat, (1, 0), x.numpy().ravel(), rtol=1e-10, atol=1e-12).y[:, -1].reshape(5, 3)
    with torch.no_grad():
        assert integrate(velocity, x, 1.0, 0.0, 200).numpy() == pytest.approx(exact, abs=1e-5)


def test_guidance_mixes_the_told_and_the_untold_velocity():
    torch.manual_seed(0)
    field = VelocityField(3, 2, width=8)
    x, told, t = torch.randn(5, 3), torch.randn(5, 2), torch.full((5,), 0.3)
    free, full = field(x, t), field(x, t, told)
    assert torch.equal(field(x, t, told, torch.zeros(5)), free), "what is not told has no say"
    for w in (0, 0.5, 1, 2):
        assert torch.allclose(guided_velocity(field, x, 0.3, told, w), (1 - w) * free + w * full, atol=1e-6)
    for w in (-0.1, 2.1, float("nan")):
        with pytest.raises(InputError, match="guidance"):
            guided_velocity(field, x, 0.3, told, w)


def test_training_is_the_trainers_resumed_exactly(tmp_path):
    images = TrainImages(torch.randn(32, 3, 1, 1), torch.eye(2)[torch.arange(32) % 2], mask=False)
    states = []
    for folders in ([None], [tmp_path, tmp_path]):
        for i, folder in enumerate(folders):
            torch.manual_seed(5)
            objective = FlowMatching(VelocityField(3, 2, width=8))
            before = [p.detach().clone() for p in objective.parameters()]
            settings = TrainConfig(steps=6, batch_size=16, augmentation="none")
            if len(folders) > 1 and i == 0:
                objective.after_step = lambda step, n: (_ for _ in ()).throw(RuntimeError) if step == 4 else None
                with pytest.raises(RuntimeError):
                    train(objective, images, settings, seed=1, work_dir=folder, checkpoint_every=2)
            else:
                train(objective, images, settings, seed=1, work_dir=folder, checkpoint_every=2)
        assert all(not torch.equal(a, b) for a, b in zip(before, objective.parameters(), strict=True))
        states.append(objective.state_dict())
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


def test_conditions_become_numbers():
    columns = {"class": np.repeat([0, 1], 10), "flux": np.linspace(1.0, 5.0, 20), "survey": np.array(["a", "b"] * 10)}
    condition = learn_condition(columns)
    told = condition.encode(columns)
    assert condition.width == told.shape[1] == 5
    assert told[:, :2].tolist() == np.repeat(np.eye(2), 10, 0).tolist()
    assert told[:, 2].mean() == pytest.approx(0, abs=1e-6) and told[:, 2].std() == pytest.approx(1, rel=1e-6)
    one = condition.encode({"class": [1], "flux": [3.0], "survey": ["b"]})
    assert one.tolist() == [[0, 1, pytest.approx(0, abs=1e-6), 0, 1]]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({}, "at least one column"),
        ({"class": np.zeros(30, int)}, "two values, got only 0"),
        ({"class": np.array(["a"] * 25 + ["b"] * 5)}, "10 sources of each class.*got 5 of b"),
        ({"flux": np.full(30, 2.5)}, "two values, got only 2.5"),
        ({"flux": np.r_[np.nan, np.arange(29.0)]}, "a value for every source, got none for 1 of 30.*row 0"),
        ({"survey": np.array(["a"] * 15 + [""] * 15)}, "none for 15 of 30"),
        ({"survey": np.array(["a"] * 15 + [None] * 15, object)}, "none for 15 of 30"),
        ({"flux": np.arange(5.0)}, "at least 10 sources"),
        ({"flux": np.zeros((30, 2))}, "one value per source"),
    ],
)
def test_conditions_that_tell_nothing_are_refused(columns, words):
    with pytest.raises(InputError, match=words):
        learn_condition(columns)


def test_classes_that_were_not_fitted_are_refused():
    condition = learn_condition({"class": np.repeat(["I", "II"], 10), "flux": np.arange(20.0)})
    with pytest.raises(InputError, match=r"fitted on \(I, II\), got III"):
        condition.encode({"class": np.array(["I", "III"]), "flux": np.ones(2)})
    with pytest.raises(InputError, match="condition flux: expected a column of that name"):
        condition.encode({"class": np.array(["I"])})
    with pytest.raises(InputError, match="expected numbers, got texts"):
        condition.encode({"class": np.array(["I"]), "flux": np.array(["much"])})
