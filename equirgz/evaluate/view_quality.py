"""What a view leaves of a source and what it changes, before anything is trained on such views.

A view should leave enough to tell its source from others, and leave the class as it is; what it leaves to the pixels
alone is no merit, since the network should not learn that. Legend: N sources, V views, C channels, H W pixels,
F features, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from equirgz.errors import require
from equirgz.evaluate.predict import embed, evaluating, iterate_batches
from equirgz.evaluate.probe import choose_penalty, linear_probe

Augment = Callable[[Tensor, torch.Generator], Tensor]
RINGS, ANGLES, HARMONICS = 12, 48, 7


@dataclass(frozen=True)
class Judge:
    """What looks at images: ``features`` of (N, C, H, W), and classes, from its own ``logits`` or a probe of them."""

    name: str
    features: Callable[[np.ndarray], np.ndarray]
    logits: Callable[[np.ndarray], np.ndarray] | None = None


def measure_rings(x_NCHW: np.ndarray) -> np.ndarray:
    """Return features (N, F) of the pixels alone: amplitudes of the first angular harmonics on rings.

    No turn about the centre or flip changes them, but by interpolation. They stand in where there is no network.
    """
    x_NCHW = torch.as_tensor(np.asarray(x_NCHW, np.float32))
    radius_R = (torch.arange(RINGS) + 0.5) / RINGS
    angle_A = torch.arange(ANGLES) * (2 * torch.pi / ANGLES)
    grid_RA2 = radius_R[:, None, None] * torch.stack([torch.cos(angle_A), torch.sin(angle_A)], -1)
    ring_NCRA = F.grid_sample(x_NCHW, grid_RA2.expand(len(x_NCHW), -1, -1, -1), align_corners=False)
    amplitude_NCRM = torch.fft.rfft(ring_NCRA, dim=-1)[..., :HARMONICS].abs() / ANGLES
    return amplitude_NCRM.flatten(1).numpy()


def make_judge(network: nn.Module | None = None) -> Judge:
    """Return the judge that is a classifier (its ``logits``), an encoder (a probe of its features), or the pixels."""
    if network is None:
        return Judge("pixels", measure_rings)
    if not hasattr(network, "logits"):
        return Judge("encoder", lambda x_NCHW: embed(network, x_NCHW))
    inner = getattr(network, "objective", network)

    def logits(x_NCHW: np.ndarray) -> np.ndarray:
        with evaluating(network):
            return np.concatenate(
                [network.logits(x).float().cpu().numpy() for x in iterate_batches(network, x_NCHW, 256)]
            )

    return Judge("classifier", lambda x_NCHW: embed(inner.backbone, x_NCHW), logits)


def make_views(x_NCHW: Any, augment: Augment, n_views: int, seed: int = 0, batch_size: int = 64) -> np.ndarray:
    """Return views (V, N, C, H, W) float32; the batches that a training would draw companions from are of this size."""
    generator = torch.Generator().manual_seed(seed)
    x_NCHW = torch.as_tensor(np.asarray(x_NCHW, np.float32))
    parts = [[augment(x_BCHW, generator) for x_BCHW in x_NCHW.split(batch_size)] for _ in range(n_views)]
    return np.stack([torch.cat(part).numpy() for part in parts])


def measure_views(
    plain_NCHW: np.ndarray, view_VNCHW: np.ndarray, label_N: np.ndarray, judge: Judge
) -> dict[str, float]:
    """Return how often views find their source again and change its class, as shares of 1.

    ``retrieval``: of the first views, whose nearest one among all sources' second views (cosine of features
    standardised on the plain images) is of the same source; by chance 1 / N. ``changed``: of all views, those whose
    class is another than that of the plain image. ``error_plain``, ``error_view``: wrong classes of either. Classes are
    the judge's own, or those of a logistic regression of the plain images' features, fitted on one half of the sources
    and asked about the other in turn, its penalty chosen inside the half. NaN where there are no labels of two classes.

    Raises InputError for fewer than two views or four sources.
    """
    n = len(plain_NCHW)
    require(len(view_VNCHW) >= 2, "views", expected="at least 2", got=len(view_VNCHW))
    require(n >= 4, "sources", expected="at least 4", got=n)
    h_NF = judge.features(plain_NCHW)
    view_VNF = np.stack([judge.features(view_NCHW) for view_NCHW in view_VNCHW])
    found = {"retrieval": _retrieve(h_NF, view_VNF[0], view_VNF[1])}
    if judge.logits is not None:
        plain_N = judge.logits(plain_NCHW).argmax(1)
        view_VN = np.stack([judge.logits(view_NCHW).argmax(1) for view_NCHW in view_VNCHW])
    else:
        plain_N, view_VN = _probe_classes(h_NF, view_VNF, label_N)
    if plain_N is None:
        return found | dict.fromkeys(("changed", "error_plain", "error_view"), float("nan"))
    known_N = label_N >= 0
    errors = [
        float((said != label_N)[..., known_N].mean()) if known_N.any() else float("nan") for said in (plain_N, view_VN)
    ]
    return found | {"changed": float((view_VN != plain_N).mean()), "error_plain": errors[0], "error_view": errors[1]}


def _retrieve(h_NF: np.ndarray, first_NF: np.ndarray, second_NF: np.ndarray) -> float:
    mean_F, deviation_F = h_NF.mean(0), h_NF.std(0)
    first_NF, second_NF = ((v - mean_F) / np.where(deviation_F > 0, deviation_F, 1.0) for v in (first_NF, second_NF))
    length = [np.linalg.norm(v, axis=1, keepdims=True).clip(1e-12) for v in (first_NF, second_NF)]
    similarity_NN = (first_NF / length[0]) @ (second_NF / length[1]).T
    return float((similarity_NN.argmax(1) == np.arange(len(h_NF))).mean())


def _probe_classes(
    h_NF: np.ndarray, view_VNF: np.ndarray, label_N: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    """Return classes of images and views by probes that have not seen the source; None where none can be fitted."""
    half_N = np.zeros(len(h_NF), int)
    for label in np.unique(label_N):
        member = np.flatnonzero(label_N == label)
        half_N[member[1::2]] = 1
    plain_N, view_VN = np.zeros(len(h_NF), int), np.zeros(view_VNF.shape[:2], int)
    for half in (0, 1):
        fitted, asked = (half_N != half) & (label_N >= 0), half_N == half
        if len(np.unique(label_N[fitted])) < 2:
            return None, None
        h_nF, y_n = h_NF[fitted], label_N[fitted]
        penalty = choose_penalty(h_nF, y_n).inverse_penalty
        plain_N[asked] = linear_probe(h_nF, y_n, h_NF[asked], inverse_penalty=penalty).argmax(1)
        for v in range(len(view_VNF)):
            view_VN[v, asked] = linear_probe(h_nF, y_n, view_VNF[v, asked], inverse_penalty=penalty).argmax(1)
    return plain_N, view_VN
