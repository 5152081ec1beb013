"""Validation during training, and which weights it keeps. Legend: N sources, K classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from equirgz.objectives.base import Objective
from equirgz.train.images import TrainImages

Validate = Callable[[Objective], dict[str, float]]


def make_validation(x_NCHW: Any, y_N: Any, batch_size: int = 256) -> Validate:
    """Return a function that measures ``error`` (share of wrong sources) and ``nll`` (nat) of an objective.

    The network is put in eval mode for it and back afterwards; stochastic objectives are judged by
    one pass of their ``logits``.
    """
    images = TrainImages(x_NCHW=x_NCHW, y_N=y_N)

    @torch.no_grad()
    def validate(objective: Objective) -> dict[str, float]:
        parameter = next(objective.parameters())
        was_training = objective.training
        objective.eval()
        logits = [
            objective.logits(x.to(device=parameter.device, dtype=parameter.dtype))
            for x in images.x_NCHW.split(batch_size)
        ]
        objective.train(was_training)
        logits_NK = torch.cat(logits).double().cpu()
        wrong_N = logits_NK.argmax(1) != images.y_N.cpu()
        nll = F.cross_entropy(logits_NK, images.y_N.cpu().long())
        return {"error": float(wrong_N.double().mean()), "nll": float(nll)}

    return validate


def is_better(new: dict[str, float], best: dict[str, float] | None) -> bool:
    """Return whether ``new`` has the lower validation error, or at equal error the lower NLL."""
    if best is None:
        return True
    return (new["error"], new["nll"]) < (best["error"], best["nll"])
