"""Dirichlet-Multinomial likelihoods against scipy, and what missing votes do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import dirichlet_multinomial

from equirgz.errors import InputError
from equirgz.objectives import Batch, create_objective
from equirgz.objectives.heads.votes import (
    compute_dirichlet_multinomial_nll,
    compute_votes_loss,
    concentrations,
)
from equirgz.objectives.semisupervised.hybrid import combine
from tests.train.toy import make_backbone, make_task

NAN = float("nan")


def test_nll_equals_scipy():
    generator = np.random.default_rng(0)
    votes = generator.integers(0, 30, (20, 4))
    alpha = generator.uniform(1, 101, (20, 4))
    nll = compute_dirichlet_multinomial_nll(torch.tensor(votes), torch.tensor(alpha))
    expected = [-dirichlet_multinomial.logpmf(k, a, k.sum()) for k, a in zip(votes, alpha, strict=True)]
    assert nll.numpy() == pytest.approx(np.array(expected))


def test_uniform_concentrations_give_equal_probability_to_all_outcomes():
    votes = torch.tensor([[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]], dtype=torch.float64)
    nll = compute_dirichlet_multinomial_nll(votes, torch.ones(3, 2, dtype=torch.float64))
    assert nll.numpy() == pytest.approx(np.log(3) * np.ones(3))


def test_questions_without_votes_count_for_nothing():
    votes = torch.tensor([[3.0, 1.0, NAN, NAN, NAN], [0.0, 0.0, 1.0, 2.0, 0.0]], dtype=torch.float64)
    alpha = torch.rand(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 1
    alpha.requires_grad_()
    loss = compute_votes_loss(votes, alpha, (2, 3))
    a, b = alpha.detach().numpy()[0, :2], alpha.detach().numpy()[1, 2:]
    expected = -dirichlet_multinomial.logpmf([3, 1], a, 4) - dirichlet_multinomial.logpmf([1, 2, 0], b, 3)
    assert float(loss.detach()) == pytest.approx(expected / 2)
    loss.backward()
    assert not alpha.grad[0, 2:].any() and not alpha.grad[1, :2].any() and alpha.grad[0, :2].all()
    nothing = compute_votes_loss(votes * NAN, alpha, (2, 3))
    assert float(nothing.detach()) == 0.0


def test_concentrations_lie_between_1_and_101():
    assert concentrations(torch.tensor([-1e4, 0.0, 1e4])).tolist() == [1, 51, 101]


def test_hybrid_learns_from_votes_and_reads_out_question_0():
    x, y = make_task(8)
    votes = torch.full((8, 5), NAN)
    votes[:, 0], votes[:, 1] = 10.0 * (y == 0), 10.0 * (y == 1)
    votes[::2, 2:] = torch.tensor([1.0, 0.0, 4.0])
    objective = create_objective("hybrid", make_backbone(), 2, init_seed=0, questions=(2, 3))
    objective.check_labels(votes)
    batch = Batch({"unlabelled_1": x, "unlabelled_2": x, "labelled": x}, votes)
    loss, logs = objective.training_step(batch, 0, 2)
    raw = objective.classifier(objective.backbone(x))
    assert float(logs["supervised"]) == pytest.approx(
        float(compute_votes_loss(votes, concentrations(raw), (2, 3)).detach()), rel=1e-4
    )
    objective.eval()
    with torch.no_grad():
        alpha = concentrations(objective.classifier(objective.backbone(x)))[:, :2]
        assert torch.allclose(objective.logits(x).softmax(1), alpha / alpha.sum(1, keepdim=True))
        draws = objective.sample_logits(x, 4000, torch.Generator().manual_seed(0)).softmax(-1)
        share = alpha / alpha.sum(1, keepdim=True)
        assert torch.allclose(draws.mean(0), share, atol=0.02)
        variance = share[:, 0] * share[:, 1] / (alpha.sum(1) + 1)
        assert torch.allclose(draws[..., 0].var(0), variance, rtol=0.15)


def test_matched_balance_scales_the_supervised_part():
    contrastive, supervised = torch.tensor(0.5), torch.tensor(4.0, requires_grad=True)
    total = combine(contrastive, supervised, 2.0, "matched")
    assert float(total.detach()) == pytest.approx(0.5 + 2 * 0.5)
    total.backward()
    assert float(supervised.grad) == pytest.approx(2 * 0.5 / 4)
    assert float(combine(contrastive, supervised, 2.0, "fixed").detach()) == pytest.approx(8.5)


@pytest.mark.parametrize(
    "votes, words",
    [
        (torch.ones(3, 4), "5 answers"),
        (-torch.ones(3, 5), "whole numbers"),
        (0.5 * torch.ones(3, 5), "whole numbers"),
        (torch.cat([torch.ones(3, 2), torch.full((3, 3), NAN)], 1), "question 1"),
    ],
)
def test_bad_votes(votes, words):
    with pytest.raises(InputError, match=words):
        create_objective("hybrid", make_backbone(), 2, questions=(2, 3)).check_labels(votes)


def test_bad_questions():
    with pytest.raises(InputError, match="questions"):
        create_objective("hybrid", make_backbone(), 2, questions=(3, 2))
