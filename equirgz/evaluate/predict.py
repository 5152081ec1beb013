"""Answers and embeddings of images: eval mode, no gradients, batches, modes restored.

Legend: N sources, S predictive samples, K classes or other outputs, B batch, C channel, H W pixels, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from equirgz.errors import InputError, NumericalError
from equirgz.evaluate.input import as_input
from equirgz.geometry.action import warp
from equirgz.images import is_row

EXACT_VIEWS = (1, 2, 4)  # turns that only move pixels, so that answers per pixel are turned back exactly


@contextmanager
def evaluating(module: nn.Module) -> Iterator[nn.Module]:
    """Put ``module`` in eval mode without gradients, and every submodule back in its own mode after."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield module
    finally:
        for part, training in modes:
            part.training = training


def predict(
    module: nn.Module,
    x_NCHW: Tensor | np.ndarray,
    batch_size: int = 256,
    *,
    n_samples: int = 1,
    views: int = 1,
    seed: int = 0,
) -> np.ndarray:
    """Return probability_NK (float64), or the answers of another task: the mean over predictive samples and views.

    Parameters
    ----------
    module : an objective (its ``logits``, or ``sample_logits`` when ``n_samples`` > 1, and the answers of its head),
        or any module that maps images to logits of classes.
    x_NCHW : images, whatever holds them (:func:`equirgz.evaluate.input.as_input`); (N, H, W) is one channel.
    views : the images turned by 360 v / views degrees, v = 0 ... views - 1; answers are averaged, a value per pixel
        turned back before (1, 2 or 4 views, which only move pixels).
    seed : of the predictive samples; the same seed gives the same numbers (see :func:`predict_samples`).

    Raises InputError for a bad shape or count and NumericalError for NaN or infinite logits.
    """
    mean_N = predict_samples(module, x_NCHW, n_samples, batch_size, views=views, seed=seed).mean(0)
    return decode(module, mean_N)


def decode(module: nn.Module, mean_N: np.ndarray) -> np.ndarray:
    """Return the answers of ``module`` from means of what :func:`predict_samples` gives."""
    head = getattr(module, "head", None)
    return mean_N if head is None else head.task.decode(mean_N)


def predict_samples(
    module: nn.Module,
    x_NCHW: Tensor | np.ndarray,
    n_samples: int,
    batch_size: int = 256,
    *,
    views: int = 1,
    seed: int = 0,
) -> np.ndarray:
    """Return probability_SNK (float64), or other outputs to average, one slice per predictive sample (see `predict`).

    A sample is one draw of the weights for all images and views, whatever the ``batch_size``; masks of
    dropout are drawn for every image of a batch, the same for its views, so that with them the numbers
    depend on ``batch_size``.
    """
    turns_deg = view_turns(module, views)
    return mean_over_turns(predict_turns(module, x_NCHW, turns_deg, n_samples, batch_size, seed=seed), turns_deg)


def view_turns(module: nn.Module, views: int) -> list[float]:
    """Return the turns of ``views`` views, in degrees; InputError for none, and where answers are not turned back."""
    if views < 1:
        raise InputError("predict: views", expected="at least 1", got=views)
    if _is_dense(module) and views not in EXACT_VIEWS:
        expected = f"{', '.join(map(str, EXACT_VIEWS))}, whose answers are turned back exactly"
        raise InputError(f"predict: views of the task {module.head.task.name}", expected=expected, got=views)
    return [360.0 * v / views for v in range(views)]


def mean_over_turns(answers: Mapping[float, np.ndarray], turns_deg: Sequence[float]) -> np.ndarray:
    """Return the mean of what :func:`predict_turns` gave for ``turns_deg``."""
    return sum(answers[turn] for turn in turns_deg) / len(turns_deg)


def predict_turns(
    module: nn.Module,
    x_NCHW: Tensor | np.ndarray,
    turns_deg: Sequence[float],
    n_samples: int,
    batch_size: int = 256,
    *,
    seed: int = 0,
) -> dict[float, np.ndarray]:
    """Return turn -> answers (S, N, K) to the images turned by so many degrees, as :func:`predict_samples` has them.

    Values per pixel are turned back.
    """
    for name, value in (("n_samples", n_samples), ("batch_size", batch_size)):
        if value < 1:
            raise InputError(f"predict: {name}", expected="at least 1", got=value)
    logits, head = _logits_function(module, n_samples, seed), getattr(module, "head", None)
    dense = _is_dense(module)

    def answer(x_BCHW: Tensor, angle_deg: float) -> np.ndarray:
        if angle_deg != 0 and is_row(tuple(x_BCHW.shape)):
            raise InputError("predict: views", expected="1 of spectra, which are not turned", got=len(turns_deg))
        raw_SB = logits(x_BCHW if angle_deg == 0 else warp(x_BCHW, angle_deg))
        _check_finite("predict: logits", raw_SB.float().cpu().numpy())
        if head is None:
            return torch.softmax(raw_SB.double(), -1).cpu().numpy()
        answer_SB = torch.stack([head.answer(raw_B.double()) for raw_B in raw_SB])
        return (turn_back(answer_SB, angle_deg) if dense else answer_SB).cpu().numpy()

    with evaluating(module):
        batches = [[answer(x, turn) for turn in turns_deg] for x in iterate_batches(module, x_NCHW, batch_size)]
    return {turn: np.concatenate(parts, 1) for turn, parts in zip(turns_deg, zip(*batches, strict=True), strict=True)}


def _is_dense(module: nn.Module) -> bool:
    head = getattr(module, "head", None)
    return head is not None and head.task.dense


def turn_back(answer_SBKHW: Tensor, angle_deg: float) -> Tensor:
    """Return maps turned by ``-angle_deg``, linearly interpolated; 0 comes in where the image ends."""
    if angle_deg == 0:
        return answer_SBKHW
    return warp(answer_SBKHW.flatten(0, 1), -angle_deg).unflatten(0, answer_SBKHW.shape[:2])


def embed(backbone: nn.Module, x_NCHW: Tensor | np.ndarray, batch_size: int = 256) -> np.ndarray:
    """Return feature_NF (float32) of a backbone, or of any module that maps images to (B, F).

    Raises InputError for a bad shape and NumericalError for NaN or infinite features.
    """
    with evaluating(backbone):
        batches = [backbone(x).flatten(1).float().cpu().numpy() for x in iterate_batches(backbone, x_NCHW, batch_size)]
    feature_NF = np.concatenate(batches, 0)
    _check_finite("embed: features", feature_NF)
    return feature_NF


def iterate_batches(module: nn.Module, x_NCHW: Tensor | np.ndarray, batch_size: int) -> Iterator[Tensor]:
    """Yield batches of images on the module's device, in its floating type; resampled where it takes another size."""
    x_NCHW = as_input(x_NCHW, module)
    parameter = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    for start in range(0, len(x_NCHW), batch_size):
        yield x_NCHW[start : start + batch_size].to(device=parameter.device, dtype=parameter.dtype)


def _logits_function(module: nn.Module, n_samples: int, seed: int) -> Callable[[Tensor], Tensor]:
    if n_samples == 1:
        single = getattr(module, "logits", module)
        return lambda x: single(x)[None]
    if not hasattr(module, "sample_logits"):
        raise InputError(f"{type(module).__name__} has no predictive samples; use n_samples=1")
    # The draws begin anew for every batch and view: sample s is one network, whatever it is shown.
    return lambda x: module.sample_logits(x, n_samples, torch.Generator(x.device).manual_seed(seed))


def _check_finite(what: str, value: np.ndarray) -> None:
    bad = int((~np.isfinite(value)).sum())
    if bad:
        raise NumericalError(f"{what}: {bad} of {value.size} values are NaN or infinite; did the training diverge?")
