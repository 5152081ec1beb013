"""Overlap of the classes' predictive distributions as a source turns (arXiv 2102.08252).

A classifier with predictive samples (dropout, weights drawn from a posterior, an ensemble) gives
each class a distribution of probabilities; where those of two classes overlap, it cannot decide.
Legend: A angles, N sources, S samples, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from torch import Tensor

from equirgz.errors import InputError
from equirgz.evaluate.input import as_input
from equirgz.evaluate.rotation import measure_turned, rotation_rows
from equirgz.geometry.action import disk_mask, warp
from equirgz.metrics.uncertainty.overlap_index import overlap_index


def rotation_samples(
    predict_samples_fn: Callable[[Tensor], np.ndarray],
    x_NCHW: Tensor | np.ndarray,
    angles_deg: Sequence[float],
    *,
    mask: bool = True,
) -> np.ndarray:
    """Return probability_ASNK of the turned sources; ``predict_samples_fn`` maps images to (S, N, K).

    As :func:`equirgz.evaluate.rotation.rotation_curve`, for predictive samples.
    """
    x_NCHW = as_input(x_NCHW).float()
    disk_HW = disk_mask(x_NCHW.shape[-1], like=x_NCHW) if mask else 1.0
    return np.stack([np.asarray(predict_samples_fn(warp(x_NCHW, float(a)) * disk_HW), float) for a in angles_deg])


def rotation_samples_of_views(
    answers: Callable[[Tensor, list[float]], Mapping[float, np.ndarray]],
    x_NCHW: Tensor | np.ndarray,
    angles_deg: Sequence[float],
    views: int,
    *,
    mask: bool = True,
) -> np.ndarray:
    """Return what :func:`rotation_samples` gives of means over ``views``, to rounding, from fewer answers.

    ``answers(images, turns_deg)`` returns turn -> (S, N, K) of turned images (:func:`equirgz.evaluate.predict.
    predict_turns`). Turning by quarters moves pixels alone, so that angles which differ by them share their turns:
    four angles and eight views are 8 different turns, not 32.
    """
    x_NCHW = as_input(x_NCHW).float()
    disk_HW = disk_mask(x_NCHW.shape[-1], like=x_NCHW) if mask else 1.0
    turns_V = [Fraction(360 * v, views) for v in range(views)]
    by_rest: dict[float, list[Fraction]] = {}
    for angle in angles_deg:
        rest = float(angle) % 90.0
        by_rest.setdefault(rest, []).append(Fraction(float(angle)) - Fraction(rest))
    found: dict[float, np.ndarray] = {}
    for rest, quarters in by_rest.items():
        turned_NCHW = warp(x_NCHW, rest) * disk_HW
        needed = {quarter: [float((quarter + turn) % 360) for turn in turns_V] for quarter in quarters}
        given = answers(turned_NCHW, sorted({turn for turns in needed.values() for turn in turns}))
        for quarter, turns in needed.items():
            found[rest + float(quarter)] = sum(given[turn] for turn in turns) / views
    return np.stack([np.asarray(found[float(angle)], float) for angle in angles_deg])


def overlap_rows(
    probability_ASNK: np.ndarray,
    target_N: np.ndarray,
    angles_deg: Sequence[float],
    overlap: Callable[[np.ndarray], np.ndarray] = overlap_index,
) -> list[dict[str, Any]]:
    """Return the rows of :func:`rotation_rows` for the mean prediction, and ``rotation/overlap`` per angle.

    ``overlap`` maps samples (S, N, K) to one index per source, 0 (classes apart) to 1; by default the
    edge-corrected index of :mod:`equirgz.metrics.uncertainty.overlap_index`.
    """
    probability_ASNK = _check_samples(probability_ASNK, len(angles_deg))
    rows = rotation_rows(probability_ASNK.mean(1), target_N, angles_deg)
    common = {"metric": "rotation/overlap", "unit": "1", "direction": "none", "n": len(target_N)}
    for angle, probability_SNK in zip(angles_deg, probability_ASNK, strict=True):
        rows.append({**common, "angle_deg": float(angle), "value": float(np.mean(overlap(probability_SNK)))})
    return rows


def source_rows(
    probability_ASNK: np.ndarray,
    target_N: np.ndarray,
    source_id_N: Sequence[str],
    overlap: Callable[[np.ndarray], np.ndarray] = overlap_index,
) -> list[dict[str, Any]]:
    """Return one dictionary per source: how its own answer changes over the angles.

    Keys: ``source_id``, ``label``, ``n_angles``, ``error_share`` (share of the angles at which the mean prediction
    is of another class than ``label``), and the mean and population standard deviation over the angles of the mean
    prediction's ``confidence`` (largest probability) and ``entropy`` (nat) and of the ``overlap`` index of the
    samples: ``confidence_mean``, ``confidence_std``, and so on. Means over sources of ``error_share`` and of the
    ``_mean`` columns are those over angles of :func:`overlap_rows`.

    Raises InputError where the shapes disagree.
    """
    probability_ASNK = _check_samples(probability_ASNK, len(probability_ASNK))
    if len(source_id_N) != len(target_N):
        raise InputError("source_rows", expected=f"{len(target_N)} names of sources", got=len(source_id_N))
    numbers = measure_turned(probability_ASNK.mean(1), target_N, len(probability_ASNK))
    numbers["overlap"] = np.stack([overlap(probability_SNK) for probability_SNK in probability_ASNK])
    spread = {
        f"{name}_{what}": function(numbers[name], axis=0)
        for name in ("confidence", "entropy", "overlap")
        for what, function in (("mean", np.mean), ("std", np.std))
    }
    share_N = numbers["error"].mean(0)
    return [
        {"source_id": str(source_id), "label": int(target), "n_angles": len(probability_ASNK)}
        | {"error_share": float(share_N[i])}
        | {name: float(value_N[i]) for name, value_N in spread.items()}
        for i, (source_id, target) in enumerate(zip(source_id_N, target_N, strict=True))
    ]


def _check_samples(probability_ASNK: np.ndarray, n_angles: int) -> np.ndarray:
    probability_ASNK = np.asarray(probability_ASNK, float)
    if probability_ASNK.ndim != 4 or probability_ASNK.shape[0] != n_angles:
        expected = f"probabilities ({n_angles}, S, N, K)"
        raise InputError("turned samples", expected=expected, got=probability_ASNK.shape)
    return probability_ASNK
