"""Validation during training, and which weights it keeps. Legend: N sources, K classes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from equirgz.evaluate.probe import knn
from equirgz.objectives.base import Objective
from equirgz.train.images import TrainImages

Validate = Callable[[Objective], dict[str, float]]


def predict_logits(objective: Objective, x_NCHW: Any, batch_size: int = 256) -> Tensor:
    """Return the head's raw outputs, logits_NK (float64, CPU), in eval mode; modes restored."""
    was_training = objective.training
    parameter = next(objective.parameters())
    objective.eval()
    parts = []
    with torch.no_grad():
        for x_BCHW in x_NCHW.split(batch_size):
            x_BCHW = x_BCHW.to(device=parameter.device, dtype=parameter.dtype)
            parts.append(objective.logits(x_BCHW).double().cpu())
    objective.train(was_training)
    return torch.cat(parts)


def make_validation(x_NCHW: Any, y_N: Any, batch_size: int = 256) -> Validate:
    """Return a function that measures an objective on sources with targets, in numbers of which less is better.

    They are ``error`` (share of wrong sources) and ``nll`` (nat) of classes, else ``loss``: the mean over the sources
    of what each adds to the headline of the task. Stochastic objectives are judged by one pass of their ``logits``.
    """
    images = TrainImages(x_NCHW=x_NCHW, y_N=y_N)

    def validate(objective: Objective) -> dict[str, float]:
        raw_N, task = predict_logits(objective, images.x_NCHW, batch_size), objective.task
        if task.categorical:
            return _score(raw_N.log_softmax(-1), images.y_N)
        answer_N = task.decode(objective.head.answer(raw_N).numpy())
        loss_N = task.loss_per_source(task.keep(answer_N, images.y_N.cpu().numpy()))
        return {"loss": float(np.nanmean(loss_N))}

    return validate


def make_knn_probe(
    x_train_NCHW: Any, y_train_N: Any, x_val_NCHW: Any, y_val_N: Any, k: int = 20, temperature: float = 0.1
) -> Validate:
    """Return a function that measures ``error`` and ``nll`` of the k nearest neighbours in feature space.

    The shares are those of :func:`equirgz.evaluate.probe.knn`, smoothed by 1e-3 per class. Meant to
    follow a self-supervised training: it needs no classifier. ``guess_error`` beside them is the error of
    always naming the commonest class of the training sources. Features that are not finite give NaN.
    """
    bank, held = TrainImages(x_train_NCHW, y_train_N), TrainImages(x_val_NCHW, y_val_N)
    n_classes = int(max(bank.y_N.max(), held.y_N.max())) + 1
    commonest = torch.bincount(bank.y_N.cpu().long()).argmax()
    guess_error = float((held.y_N.cpu() != commonest).double().mean())

    @torch.no_grad()
    def probe(objective: Objective) -> dict[str, float]:
        was_training = objective.training
        parameter = next(objective.parameters())
        objective.eval()
        h_bank, h_held = (
            torch.cat([objective(x.to(parameter.device, parameter.dtype)) for x in part.x_NCHW.split(256)])
            .double()
            .cpu()
            for part in (bank, held)
        )
        objective.train(was_training)
        if not bool(torch.isfinite(h_bank).all() & torch.isfinite(h_held).all()):
            return {"error": math.nan, "nll": math.nan, "guess_error": guess_error}
        labels = bank.y_N.cpu().long().numpy()
        share = knn(h_bank.numpy(), labels, h_held.numpy(), k=k, temperature=temperature, n_classes=n_classes)
        smooth_NK = torch.as_tensor(share) + 1e-3
        found = _score(torch.log(smooth_NK / smooth_NK.sum(1, keepdim=True)), held.y_N)
        return found | {"guess_error": guess_error}

    return probe


def _score(log_p_NK: Tensor, label_N: Tensor) -> dict[str, float]:
    label_N = label_N.cpu().long()
    wrong_N = log_p_NK.argmax(1) != label_N
    return {"error": float(wrong_N.double().mean()), "nll": float(F.nll_loss(log_p_NK, label_N))}


def is_better(new: dict[str, float], best: dict[str, float] | None) -> bool:
    """Return whether ``new`` has the lower first number, the error or loss, or at an equal one the lower next (NLL)."""
    return best is None or tuple(new.values()) < tuple(best[name] for name in new)
