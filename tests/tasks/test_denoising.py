"""The task of noise: its loss against the closed form of Gaussian images, and the score that a head has learnt."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from equirgz import create_backbone
from equirgz.config import TrainConfig
from equirgz.errors import InputError
from equirgz.imaging.network_prior import NetworkPrior
from equirgz.objectives.base import create_objective
from equirgz.objectives.heads.base import create_head
from equirgz.objectives.heads.denoising import NoiseErrorLayers
from equirgz.objectives.heads.maps import ScoreNetwork, estimate_noise
from equirgz.tasks import create_task
from equirgz.train import TrainImages, train
from tests.tasks.toy import make_blobs


def make_task(**params):
    return create_task("denoising", make_blobs(4, 9), **params)


class Echo(torch.nn.Module):
    """A backbone of which nothing is read."""

    def forward_maps(self, x_BCHW, level_B):
        return x_BCHW


class Best(NoiseErrorLayers):
    """Layers whose estimate is ``factor`` times the best one of images N(0, d^2): F = z (d^2 - 1) s / (d^2 + s^2)."""

    def __init__(self, d, factor):
        torch.nn.Module.__init__(self)
        self.d, self.factor = d, factor

    def forward(self, encoded):
        _, z_BLHW, s, noise_BLHW = encoded
        noise = s / (self.d**2 + s**2) * (1 + s**2).sqrt() * z_BLHW
        raw = s * z_BLHW - self.factor * noise * (1 + s**2).sqrt()
        torch.testing.assert_close(estimate_noise(raw, z_BLHW, s), self.factor * noise)
        return (noise_BLHW - self.factor * noise) * (1 + s**2).sqrt()


def levels_in_time(schedule: str, low: float, high: float) -> np.ndarray:
    """Return the levels of a diffusion whose times are even between two levels, from its definition alone."""
    if schedule == "ve":
        return np.geomspace(low, high, 1000)
    t = np.linspace(0, 1, 200_001)
    level = np.sqrt(np.expm1(0.1 * t + 0.5 * 19.9 * t**2))  # sigma^2 / mean^2 = exp(b) - 1
    return level[(level >= low) & (level <= high)]


@pytest.mark.parametrize("training, schedule", [(True, "ve"), (True, "vp"), (False, "ve")])
def test_the_best_estimate_of_gaussian_images_has_the_loss_of_the_closed_form(training, schedule):
    """n given x + s n is s / (d^2 + s^2) times it, and leaves d^2 / (d^2 + s^2) of its variance."""
    task, d = make_task(low=0.1, high=10.0, n_levels=5, schedule=schedule), 1.5
    head = create_head(task).train(training)
    x_BCHW = d * torch.randn(3000, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    encoded = head.encode(Echo(), x_BCHW)
    levels = levels_in_time(schedule, 0.1, 10.0) if training else task.levels
    expected = np.mean(d**2 * (1 + levels**2) / (d**2 + levels**2))
    losses = [float(head.loss(Best(d, factor)(encoded), x_BCHW)) for factor in (1.0, 0.8, 1.2)]
    assert losses[0] == pytest.approx(expected, rel=0.05 if training else 0.2)  # few levels see one noise alone
    assert min(losses[1:]) > losses[0]


def test_an_answer_is_scored_by_its_mean_square_and_a_missing_image_not_at_all():
    task = make_task(n_levels=2)
    answer_N = np.stack([np.full((3, 3), 2.0), np.full((3, 3), 4.0)])[None].repeat(3, 0)
    target_N = np.zeros((3, 1, 3, 3))
    target_N[1, 0, 0, 0] = np.nan
    kept = task.keep(answer_N, target_N)
    assert task.loss_per_source(kept)[[0, 2]].tolist() == [10.0, 10.0] and np.isnan(task.loss_per_source(kept)[1])
    rows = {row["metric"]: (row["value"], row["n"]) for row in task.score(kept)}
    assert rows == {"denoising/loss": (10.0, 2), "denoising/loss/0.015": (4.0, 2), "denoising/loss/30": (16.0, 2)}


def test_the_learnt_score_is_minus_the_estimated_noise_over_the_level():
    backbone = create_backbone("steerable_unet", group="D2", image_size=9, fields=(4, 6), conditioned=True)
    objective = create_objective("supervised", backbone, task=make_task(low=0.5, high=2.0, n_levels=2)).eval()
    x_BCHW = torch.randn(2, 1, 9, 9)
    with torch.no_grad():
        noise_BLHW = objective.head.encode(backbone, x_BCHW)[-1]
        error_BLHW = objective.logits(x_BCHW)
        score = objective.head.score(backbone, objective.classifier)
        for place, level in enumerate((0.5, 2.0)):
            noise_B1HW = noise_BLHW[:, place, None]
            score_B1HW = score(x_BCHW + level * noise_B1HW, torch.full((2,), level))
            expected = (noise_B1HW + level * score_B1HW) * (1 + level**2) ** 0.5
            torch.testing.assert_close(error_BLHW[:, place, None], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: make_task(low=2.0, high=1.0), "expected 0 < low < high, got 2.0 and 1.0"),
        (lambda: make_task(n_levels=1), "expected n_levels of 2 or more, got 1"),
        (lambda: make_task().check(np.zeros((2, 1, 3, 3))), "expected pixels that differ, got one value"),
        (lambda: make_task().check(np.full((2, 1, 3, 3), np.nan)), "finite pixels"),
        (lambda: make_task().check(np.zeros((2, 3))), r"expected \(N, 1, H, W\)"),
        (
            lambda: create_objective("supervised", create_backbone("unet", image_size=9, fields=(4, 6)),
                                     task=make_task()),
            "conditioned=True",
        ),
    ],
)  # fmt: skip
def test_what_no_noise_can_be_learnt_of_is_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()


@pytest.mark.parametrize("schedule", ["ve", "vp"])
def test_the_trainer_trains_it_and_the_score_turns_with_the_image(schedule):
    backbone = create_backbone("steerable_unet", group="D2", image_size=9, fields=(4, 6), conditioned=True)
    objective = create_objective("supervised", backbone, task=make_task(schedule=schedule))
    before = [p.detach().clone() for p in objective.parameters()]
    x = torch.randn(16, 1, 9, 9)
    log = train(objective, TrainImages(x, x), TrainConfig(steps=3, batch_size=8), seed=0, log_every=1)
    assert len(log.rows) == 3
    assert all(not torch.equal(a, b) for a, b in zip(before, objective.parameters(), strict=True))
    prior = NetworkPrior(objective.head.score(backbone, objective.classifier), 1.8, unit_jy=0.5)
    turned = prior(x[:3, 0].rot90(2, (1, 2)).flip(1), 0.7)
    assert torch.allclose(turned, prior(x[:3, 0], 0.7).rot90(2, (1, 2)).flip(1), atol=1e-5)


def test_a_prior_in_other_units_is_the_same_prior():
    score = ScoreNetwork(create_backbone("unet", image_size=9, fields=(4, 6), conditioned=True))
    plain, bright = NetworkPrior(score, 1.8), NetworkPrior(score, 1.8, unit_jy=4.0)
    x = torch.randn(2, 9, 9)
    assert torch.allclose(bright(4 * x, 4 * 0.3), plain(x, 0.3) / 4, atol=1e-6)
    for arguments in ((1.8, 0.0), (-1.0, 1.0)):
        with pytest.raises(InputError, match="positive number"):
            NetworkPrior(score, *arguments)
