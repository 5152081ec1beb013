"""The meter of lost rank: it sees dimensions that go in a training whose loss falls, and warns of nothing else."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from equirgz.config import OptimizerConfig, TrainConfig
from equirgz.geometry.group import get_group
from equirgz.objectives import create_objective
from equirgz.objectives.base import Objective, View
from equirgz.train import TrainImages, train
from equirgz.train.rank import RankMeter
from tests.train.toy import make_backbone

CONFIG = TrainConfig(
    steps=60,
    batch_size=8,
    augmentation="none",
    optimizer=OptimizerConfig(lr=0.1, weight_decay=0.0, schedule="constant"),
)
IMAGES = torch.rand(40, 1, 9, 9, generator=torch.Generator().manual_seed(0))


class Scaled(nn.Module):
    """Eight fixed features of an image, each times a weight of its own that is learnt."""

    num_features, image_size, group = 8, 9, get_group("C1")

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.register_buffer("pixels", torch.randn(81, 8, generator=generator))
        self.norm = nn.BatchNorm1d(8, affine=False)
        self.scale = nn.Parameter(torch.ones(8))

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        return self.norm(x_BCHW.flatten(1) @ self.pixels) * self.scale


class Shrink(Objective):
    """Makes the features numbered ``first`` and above small; its loss falls without end."""

    views = {"unlabelled_1": View("unlabelled")}
    tasks, needs_labels, uses_unlabelled, watches_rank = None, False, True, True

    def __init__(self, first: int) -> None:
        super().__init__(Scaled(), 2)
        self.first = first

    def training_step(self, batch, step, n_steps):
        return self.backbone(batch.view["unlabelled_1"])[:, self.first :].square().mean(), {}


def _shrink(first: int, **options):
    return train(Shrink(first), TrainImages(u_MCHW=IMAGES), CONFIG, seed=0, **options)


def test_a_training_that_loses_dimensions_is_warned_of_in_one_line() -> None:
    log = _shrink(first=1)
    assert log.last("loss") < log.rows[0]["loss"]
    assert log.last("rank/untrained") > 7 and log.last("rank/features") < 3
    lost = [line for line in log.warnings if line.startswith("lost rank")]
    assert len(lost) == 1 and "\n" not in lost[0] and "of the untrained network" in lost[0]


def test_features_that_shrink_together_lose_nothing() -> None:
    log = _shrink(first=0)
    assert log.last("loss") < 0.1 * log.rows[0]["loss"]
    assert log.last("rank/features") == pytest.approx(log.last("rank/untrained"), rel=1e-3)
    assert log.warnings == []


def test_it_is_measured_before_the_first_update_and_known_after_an_interruption(tmp_path) -> None:
    whole = _shrink(first=1)
    untrained = RankMeter(IMAGES, torch.float32).measure(Scaled())
    assert whole.last("rank/untrained") == pytest.approx(untrained)

    class Stop(Exception):
        pass

    def stop(step: int, n_steps: int) -> None:
        if step == 39:
            raise Stop

    images, objective = TrainImages(u_MCHW=IMAGES), Shrink(1)
    objective.after_step = stop
    with pytest.raises(Stop):
        train(objective, images, CONFIG, seed=0, work_dir=tmp_path, checkpoint_every=20)
    again = train(Shrink(1), images, CONFIG, seed=0, work_dir=tmp_path)
    assert again.resumed_from == 20 and again.last("rank/untrained") == whole.last("rank/untrained")


def test_looking_changes_nothing() -> None:
    network = nn.Sequential(make_backbone(dropout=0.5)).train()
    before, state = {k: v.clone() for k, v in network.state_dict().items()}, torch.get_rng_state()
    meter = RankMeter(IMAGES, torch.float32)
    first, second = meter.measure(network), meter.measure(network)
    assert first == second and torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(part.training for part in network.modules())


def test_who_watches() -> None:
    watching = {name: create_objective(name, make_backbone(), 2).watches_rank for name in ("byol", "simclr", "vicreg")}
    assert all(watching.values())
    assert not create_objective("hybrid", make_backbone(), 2).watches_rank, "two classes well apart lie on one line"
