"""Shares of votes per pixel and part: three losses. Legend: B batch, K parts, H W pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from equirgz.objectives.heads.base import HEADS, mean_of_known
from equirgz.objectives.heads.shares import SharesHead
from equirgz.objectives.precision import full_precision, widen

_EDGE = 1e-4  # p stays so far from 0 and 1 in the beta-binomial, whose parameters must be positive


@full_precision
def compute_beta_binomial_nll(votes: Tensor, n: int, p: Tensor, spread: Tensor) -> Tensor:
    """Return ``-log P(k of n)`` in nat for each number k of votes, given mean p and concentration c > 0.

    ``P = (n over k) B(k + c p, n - k + c (1 - p)) / B(c p, c (1 - p))``: votes whose share is itself drawn from a beta
    distribution of mean p and variance p (1 - p) / (c + 1); binomial for large c. Votes may be fractions, as where a
    map was turned between pixels.
    """
    a, b = spread * p, spread * (1 - p)
    choose = torch.lgamma(torch.full_like(p, n + 1.0)) - torch.lgamma(votes + 1) - torch.lgamma(n - votes + 1)
    return -(choose + _log_beta(votes + a, n - votes + b) - _log_beta(a, b))


def _log_beta(a: Tensor, b: Tensor) -> Tensor:
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)


@HEADS.register("segmentation")
class MasksHead(SharesHead):
    """Shares of votes s for each pixel and part, p the sigmoid of the first raw outputs, by the task's ``loss``.

    * binomial: ``-s log p - (1 - s) log(1 - p)``;
    * beta_binomial: :func:`compute_beta_binomial_nll` over the number of volunteers, the concentration 1/2 + softplus
      of further raw outputs;
    * mse: ``(p - s)^2``.

    Each is the mean over the pixels that were asked (not NaN); 0 everywhere is an absence, and is learnt.
    """

    @property
    def n_raw(self) -> int:
        return len(self.task.parts) * (2 if self.task.loss == "beta_binomial" else 1)

    def loss(self, raw_B: Tensor, target_B: Tensor) -> Tensor:
        if self.task.loss == "binomial":
            return super().loss(raw_B, target_B)
        known_BKHW = torch.isfinite(target_B)
        share_BKHW = target_B.nan_to_num().to(raw_B)
        if self.task.loss == "mse":
            return mean_of_known((self.answer(widen(raw_B)) - share_BKHW).square(), known_BKHW)
        n = self.task.volunteers
        p_BKHW = self.answer(widen(raw_B)).clamp(_EDGE, 1 - _EDGE)
        votes_BKHW = (n * share_BKHW).clamp(0, n)
        loss_BKHW = compute_beta_binomial_nll(votes_BKHW, n, p_BKHW, self._concentration(raw_B))
        return mean_of_known(loss_BKHW, known_BKHW) / n

    def answer(self, raw_B: Tensor) -> Tensor:
        return torch.sigmoid(raw_B[:, : len(self.task.parts)])

    def spread(self, raw_B: Tensor) -> Tensor:
        """Return the standard deviation of what is answered, (B, K, H, W): of the share of votes for a beta-binomial,
        ``sqrt(p (1 - p) / (c + 1))``; else of one volunteer's vote, ``sqrt(p (1 - p))``."""
        p_BKHW = self.answer(widen(raw_B))
        variance_BKHW = p_BKHW * (1 - p_BKHW)
        if self.task.loss == "beta_binomial":
            variance_BKHW = variance_BKHW / (1 + self._concentration(raw_B))
        return variance_BKHW.sqrt()

    def _concentration(self, raw_B: Tensor) -> Tensor:
        return 0.5 + F.softplus(widen(raw_B)[:, len(self.task.parts) :])
