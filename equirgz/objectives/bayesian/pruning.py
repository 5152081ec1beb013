"""Which weights of a Gaussian posterior matter: signal to noise, Fisher information, pruning curves.

Follows arXiv 2201.01203, where 30 % of the fully connected weights could go by signal to noise.
Legend: N sources, K classes.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from equirgz.backbones.wrapped import copy_network
from equirgz.errors import InputError
from equirgz.objectives.bayesian.posterior import WeightPosterior

Score = dict[str, Tensor]


@torch.no_grad()
def compute_signal_to_noise(objective: WeightPosterior) -> Score:
    """Return name -> ``|mean| / std`` of every weight."""
    std = objective.std()
    return {name: mean.abs() / std[name] for name, mean in objective.means().items()}


def compute_fisher(objective: WeightPosterior, x_NCHW: Tensor, label_N: Tensor) -> Score:
    """Return name -> mean over sources of ``(d log p(label | x) / d mean)^2``, at the mean weights.

    The empirical Fisher information per weight, in eval mode, one source at a time.
    """
    was_training = objective.training
    objective.eval()
    target_N = label_N if label_N.is_floating_point() else label_N.long()
    means = objective.means()
    total = {name: torch.zeros_like(mean) for name, mean in means.items()}
    for x_CHW, label in zip(x_NCHW, target_N, strict=True):
        loss = objective.head.loss(objective.logits(x_CHW[None]), label[None])
        gradients = torch.autograd.grad(loss, list(means.values()), allow_unused=True)
        for name, gradient in zip(means, gradients, strict=True):
            if gradient is not None:
                total[name] += gradient**2 / len(x_NCHW)
    objective.train(was_training)
    return total


@torch.no_grad()
def prune(objective: WeightPosterior, score: Score, share: float, names: str = "*") -> WeightPosterior:
    """Return a copy whose ``share`` of weights with the lowest score is set to exactly zero, noise included.

    ``names`` is a shell-style pattern of the parameters among which to choose, such as
    ``"classifier.*"``. Ties go in the order of the parameters. Raises InputError for a share outside
    [0, 1] or a pattern that matches nothing.
    """
    chosen = [name for name in score if fnmatch.fnmatch(name, names)]
    if not 0 <= share <= 1 or not chosen:
        raise InputError(
            "prune",
            expected=f"a share in [0, 1] and a pattern of {list(score)[:4]}...",
            got=f"share {share}, pattern {names!r}",
        )
    pruned = copy_network(objective)
    flat = torch.cat([score[name].flatten() for name in chosen])
    keep = torch.ones_like(flat, dtype=torch.bool)
    keep[torch.argsort(flat, stable=True)[: round(share * len(flat))]] = False
    parts = keep.split([score[name].numel() for name in chosen])
    means = pruned.means()
    for name, part in zip(chosen, parts, strict=True):
        mask = part.reshape(means[name].shape)
        means[name].mul_(mask)
        pruned.silence(name, ~mask)
    return pruned


def compute_pruning_curve(
    objective: WeightPosterior,
    score: Score,
    shares: Sequence[float],
    measure: Callable[[WeightPosterior], dict[str, float]],
    names: str = "*",
) -> list[dict[str, float]]:
    """Return one row per share: ``share`` and what ``measure`` finds on the pruned copy."""
    return [{"share": float(share)} | measure(prune(objective, score, share, names)) for share in shares]
