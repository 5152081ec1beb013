"""Losses of shares of votes per pixel: against scipy, in their limits, on absence and on what was not asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import betabinom

from equirgz.errors import InputError
from equirgz.objectives.base import create_objective
from equirgz.objectives.heads.base import create_head
from equirgz.objectives.heads.pixel_votes import compute_beta_binomial_nll
from equirgz.tasks import create_task
from equirgz.tasks.base import Named
from equirgz.tasks.segmentation import LOSSES
from tests.backbones.test_contract import build, images

NAMED = Named("toy", map_names=("bar", "arms"))
OPTIONS = {"binomial": {}, "beta_binomial": {"volunteers": 15}, "mse": {}}


def make(loss):
    return create_head(create_task("segmentation", NAMED, loss=loss, **OPTIONS[loss]))


def test_the_beta_binomial_against_scipy():
    rng = np.random.default_rng(0)
    p, c, k = rng.uniform(0.01, 0.99, 50), rng.uniform(0.5, 80, 50), rng.integers(0, 16, 50)
    found = compute_beta_binomial_nll(
        *(torch.tensor(a) for a in (k.astype(float),)), 15, torch.tensor(p), torch.tensor(c)
    )
    np.testing.assert_allclose(found, -betabinom.logpmf(k, 15, c * p, c * (1 - p)), rtol=1e-8)


def test_the_beta_binomial_is_binomial_for_a_large_concentration():
    k, p = torch.arange(16, dtype=torch.float64), torch.full((16,), 0.3, dtype=torch.float64)
    wide = compute_beta_binomial_nll(k, 15, p, torch.full_like(p, 1e7))
    expected = -torch.distributions.Binomial(15, p).log_prob(k)
    torch.testing.assert_close(wide, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_best_answer_is_the_share(loss):
    """The loss of one pixel falls towards its share of votes, 0 and 1 among them, and nowhere else."""
    head = make(loss)
    for share in (0.0, 4 / 15, 1.0):
        raw = torch.zeros(1, head.n_raw, 1, 1, dtype=torch.float64, requires_grad=True)
        target = torch.full((1, 2, 1, 1), share, dtype=torch.float64)
        optimiser = torch.optim.Adam([raw], 0.3)
        for _ in range(150):
            optimiser.zero_grad()
            head.loss(raw, target).backward()
            optimiser.step()
        assert float((head.answer(raw.detach()) - share).abs().max()) < 0.03


@pytest.mark.parametrize("loss", LOSSES)
def test_what_was_not_asked_has_no_gradient_and_an_absence_has(loss):
    head = make(loss)
    raw = torch.randn(2, head.n_raw, 3, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = torch.zeros(2, 2, 3, 3)
    target[0, 1] = torch.nan
    head.loss(raw, target).backward()
    assert not raw.grad[0, 1].any() and (raw.grad[0, 0] > 0).all() and (raw.grad[1, :2] > 0).all()
    assert head.loss(raw, torch.full_like(target, torch.nan)).item() == 0


def test_the_binomial_loss_is_as_it_was():
    head, raw = make("binomial"), torch.randn(1, 2, 4, 4)
    target = torch.rand(1, 2, 4, 4)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(raw, target)
    torch.testing.assert_close(head.loss(raw, target), expected)


def test_the_spread_of_votes_and_of_their_share():
    raw = torch.tensor([0.4, -1.0, 0.7, 2.0]).view(1, 4, 1, 1)
    p = torch.sigmoid(raw[:, :2])
    torch.testing.assert_close(make("mse").spread(raw[:, :2]), (p * (1 - p)).sqrt())
    c = 0.5 + torch.nn.functional.softplus(raw[:, 2:])
    torch.testing.assert_close(make("beta_binomial").spread(raw), (p * (1 - p) / (c + 1)).sqrt())


@pytest.mark.parametrize("loss", LOSSES)
def test_a_unet_learns_by_it_and_answers_one_map_per_part(loss):
    backbone = build("steerable_unet", image_size=17)
    objective = create_objective("supervised", backbone, task=make(loss).task, init_seed=0)
    x_BCHW, target = images(backbone, 3), torch.randint(0, 16, (3, 2, 17, 17)) / 15
    raw = objective.logits(x_BCHW)
    objective.head.loss(raw, target).backward()
    assert raw.shape[1] == objective.head.n_raw and objective.head.answer(raw).shape == target.shape
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in objective.parameters())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"loss": "dice"}, "loss.*beta_binomial, binomial, mse"),
        ({"loss": "beta_binomial"}, "volunteers of the loss beta_binomial: expected a whole number, 2 or more"),
        ({"volunteers": 0}, "expected a whole number"),
        ({"votes": 3}, "volunteers"),
    ],
)
def test_bad_options_are_one_line(options, words):
    with pytest.raises(InputError, match=words):
        create_task("segmentation", NAMED, **options)


def test_votes_above_n_and_sets_of_one_value_are_refused():
    task = make("binomial").task
    with pytest.raises(
        InputError, match="shares in \\[0, 1\\].*got 0 to 3; divide votes by the number of those who voted"
    ):
        task.check(np.array([0.0, 3.0]).reshape(1, 2, 1, 1))
    with pytest.raises(InputError, match="pixels in and outside of the parts, got all 0"):
        task.check(np.zeros((2, 2, 3, 3)))
