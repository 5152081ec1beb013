"""Score matching against the closed form of Gaussian images, and a network's score as a prior."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from equirgz import create_backbone
from equirgz.config import TrainConfig
from equirgz.errors import InputError
from equirgz.imaging.network_prior import NetworkPrior
from equirgz.objectives.base import Batch
from equirgz.objectives.generative.score_matching import ScoreMatching
from equirgz.train import TrainImages, train


class GaussianScore(nn.Module):
    """The score of images N(mean, deviation^2) with noise, off by a factor."""

    def __init__(self, mean: float, deviation: float, factor: float = 1.0) -> None:
        super().__init__()
        self.mean, self.deviation, self.factor = mean, deviation, factor

    def forward(self, x_BCHW, level_B):
        return -self.factor * (x_BCHW - self.mean) / (self.deviation**2 + level_B[:, None, None, None] ** 2)


def network(group: str = "D2") -> nn.Module:
    name = "unet" if group == "C1" else "steerable_unet"
    torch.manual_seed(0)
    return create_backbone(name, group=group, image_size=9, fields=(4, 6), convolutions=1, conditioned=True)


def test_the_loss_of_gaussian_images_is_its_closed_form_and_no_other_score_has_less():
    """Over levels from a to b, even in their logarithm, the mean of d^2 / (d^2 + s^2) has a closed form."""
    objective = ScoreMatching(network(), low=0.1, high=10.0)
    x = 2 + 1.5 * torch.randn(4000, 1, 9, 9)
    losses = []
    for factor in (1.0, 0.8, 1.2):
        objective.score = GaussianScore(2.0, 1.5, factor)
        torch.manual_seed(0)
        losses.append(float(objective.training_step(Batch({"image": x}), 0, 1)[0]))
    a, b, d = 0.1, 10.0, 1.5
    area = 0.5 * (math.log(b**2 / (b**2 + d**2)) - math.log(a**2 / (a**2 + d**2)))
    assert losses[0] == pytest.approx(area / math.log(b / a), rel=0.03)
    assert min(losses[1:]) > losses[0]


@pytest.mark.parametrize("schedule", ["ve", "vp"])
def test_the_trainer_trains_it_and_the_score_turns_with_the_image(schedule):
    objective = ScoreMatching(network(), schedule)
    before = [p.detach().clone() for p in objective.parameters()]
    log = train(
        objective, TrainImages(torch.randn(16, 1, 9, 9)), TrainConfig(steps=3, batch_size=8), seed=0, log_every=1
    )
    assert len(log.rows) == 3
    assert all(not torch.equal(a, b) for a, b in zip(before, objective.parameters(), strict=True))
    x = torch.randn(3, 9, 9)
    prior = NetworkPrior(objective.score, 1.8, unit_jy=0.5)
    turned = prior(x.rot90(2, (1, 2)).flip(1), 0.7)
    assert torch.allclose(turned, prior(x, 0.7).rot90(2, (1, 2)).flip(1), atol=1e-5)


def test_a_prior_in_other_units_is_the_same_prior():
    score = ScoreMatching(network("C1")).score
    plain, bright = NetworkPrior(score, 1.8), NetworkPrior(score, 1.8, unit_jy=4.0)
    x = torch.randn(2, 9, 9)
    assert torch.allclose(bright(4 * x, 4 * 0.3), plain(x, 0.3) / 4, atol=1e-6)


def test_networks_without_noise_levels_and_bad_units_are_refused():
    with pytest.raises(InputError, match="conditioned=True"):
        ScoreMatching(create_backbone("unet", image_size=9, fields=(4, 6)))
    with pytest.raises(InputError, match="unknown 'cosine'"):
        ScoreMatching(network(), "cosine")
    for arguments in ((1.8, 0.0), (-1.0, 1.0)):
        with pytest.raises(InputError, match="positive number"):
            NetworkPrior(ScoreMatching(network()).score, *arguments)
