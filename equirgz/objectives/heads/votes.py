"""Volunteers' votes on several questions as targets. Legend: B batch, A answers of all questions, Q questions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from equirgz.objectives.gather import mean_count
from equirgz.objectives.heads.base import HEADS, Head
from equirgz.objectives.precision import full_precision, widen


@full_precision
def compute_dirichlet_multinomial_nll(votes_BA: Tensor, concentration_BA: Tensor) -> Tensor:
    """Return ``-log p(votes | concentration)`` of ONE question, nll_B in nat (arXiv 2102.08414, eq. 2).

    With n votes k_a and concentrations c_a of sum c:
    ``p = n! G(c) / G(n + c) prod_a G(k_a + c_a) / (k_a! G(c_a))``. Missing votes (NaN) count as none;
    a source without votes has nll 0, and no gradient.
    """
    k_BA = torch.nan_to_num(votes_BA).to(concentration_BA.dtype)
    n_B, c_B = k_BA.sum(-1), concentration_BA.sum(-1)
    log_p_B = torch.lgamma(n_B + 1) + torch.lgamma(c_B) - torch.lgamma(n_B + c_B)
    log_p_BA = torch.lgamma(k_BA + concentration_BA) - torch.lgamma(concentration_BA) - torch.lgamma(k_BA + 1)
    return -(log_p_B + log_p_BA.sum(-1))


def compute_votes_loss(votes_BA: Tensor, concentration_BA: Tensor, questions: Sequence[int]) -> Tensor:
    """Return the mean nll (nat) over all (source, question) pairs that have votes; 0 where there are none.

    Over several processes it is the share of this one: their mean is the loss of all pairs.

    ``questions`` holds the number of answers of each question, in the order of the columns.
    """
    nll_BQ = torch.stack(
        [
            compute_dirichlet_multinomial_nll(votes, concentration)
            for votes, concentration in zip(
                votes_BA.split(list(questions), -1), concentration_BA.split(list(questions), -1), strict=True
            )
        ],
        -1,
    )
    asked_BQ = torch.stack([torch.nan_to_num(v).sum(-1) > 0 for v in votes_BA.split(list(questions), -1)], -1)
    return (nll_BQ * asked_BQ).sum() / mean_count(asked_BQ, nll_BQ.dtype)


def concentrations(raw_BA: Tensor) -> Tensor:
    """Return ``1 + 100 sigmoid(raw)``: Dirichlet concentrations between 1 and 101 (arXiv 2102.08414)."""
    return 1 + 100 * torch.sigmoid(widen(raw_BA))


@HEADS.register("votes")
class VotesHead(Head):
    """The Dirichlet-Multinomial nll (nat) of the votes, the mean over (source, question) pairs that have any.

    Answers are concentrations; those of several networks or views are averaged.
    """

    def loss(self, raw_B: Tensor, target_B: Tensor) -> Tensor:
        return compute_votes_loss(target_B, concentrations(raw_B), self.task.questions)

    def answer(self, raw_B: Tensor) -> Tensor:
        return concentrations(raw_B)
