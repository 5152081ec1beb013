"""A classifier's answers as the sources turn. Legend: A angles, N sources, K classes, C channel, H W pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from equirgz.errors import InputError, require
from equirgz.evaluate.input import as_input
from equirgz.geometry.action import disk_mask, warp


def make_angles(n_angles: int) -> list[float]:
    """Return ``n_angles`` angles that divide the full turn, from 0, in degrees."""
    require(n_angles >= 1, "rotation angles", expected="at least 1", got=n_angles)
    return [360.0 * a / n_angles for a in range(n_angles)]


def rotation_curve(
    predict_fn: Callable[[Tensor], np.ndarray],
    x_NCHW: Tensor | np.ndarray,
    angles_deg: Sequence[float],
    *,
    mask: bool = True,
) -> np.ndarray:
    """Return probability_ANK: the classifier's probabilities for the sources turned by each angle.

    The sources are put under the shared disk mask after the turn, so corners say nothing about the
    angle; quarter turns only move pixels. ``predict_fn`` maps images (N, C, H, W) to
    probabilities (N, K), for example ``lambda x: predict(objective, x)``.
    """
    x_NCHW = as_input(x_NCHW).float()
    disk_HW = disk_mask(x_NCHW.shape[-1], like=x_NCHW) if mask else 1.0
    return np.stack([np.asarray(predict_fn(warp(x_NCHW, float(a)) * disk_HW), np.float64) for a in angles_deg])


def rotation_rows(
    probability_ANK: np.ndarray, target_N: np.ndarray, angles_deg: Sequence[float]
) -> list[dict[str, Any]]:
    """Return one dictionary per angle and number, with the keys of a results row.

    Numbers, each a mean over the sources: ``rotation/error`` (%), ``rotation/confidence``
    (largest probability), ``rotation/entropy`` (nat), and ``rotation/flip_rate`` (%, sources whose
    class differs from that at the first angle). Beside them, one row without angle:
    ``rotation/probability_spread``, the mean over sources of the standard deviation over angles of
    the probability of the true class; 0 for an invariant classifier.

    Raises InputError when the shapes disagree.
    """
    probability_ANK, target_N = np.asarray(probability_ANK, np.float64), np.asarray(target_N)
    numbers = measure_turned(probability_ANK, target_N, len(angles_deg))
    n = len(target_N)
    numbers_A = {
        ("rotation/error", "%", "lower"): 100.0 * numbers["error"].mean(1),
        ("rotation/confidence", "1", "none"): numbers["confidence"].mean(1),
        ("rotation/entropy", "nat", "none"): numbers["entropy"].mean(1),
        ("rotation/flip_rate", "%", "lower"): 100.0 * numbers["flip"].mean(1),
    }
    rows = [
        {"metric": metric, "angle_deg": float(a), "value": float(v), "unit": unit, "direction": direction, "n": n}
        for (metric, unit, direction), value_A in numbers_A.items()
        for a, v in zip(angles_deg, value_A, strict=True)
    ]
    spread = float(probability_ANK[:, np.arange(n), target_N].std(0).mean())
    rows.append(
        {"metric": "rotation/probability_spread", "angle_deg": None, "value": spread, "unit": "1", "direction": "lower"}
        | {"n": n}
    )
    return rows


def measure_turned(probability_ANK: np.ndarray, target_N: np.ndarray, n_angles: int) -> dict[str, np.ndarray]:
    """Return arrays (A, N) of each source at each angle: error (bool), confidence, entropy (nat), flip (bool).

    confidence is the largest probability, entropy -sum_k p_k ln p_k with 0 ln 0 = 0, flip: another class than
    at the first angle. NaN passes through. Raises InputError unless there are ``n_angles`` angles and N labels.
    """
    probability_ANK, target_N = np.asarray(probability_ANK, np.float64), np.asarray(target_N)
    if probability_ANK.ndim != 3 or probability_ANK.shape[:2] != (n_angles, len(target_N)):
        expected = f"probabilities ({n_angles}, {len(target_N)}, K)"
        raise InputError("rotation", expected=expected, got=probability_ANK.shape)
    class_AN = probability_ANK.argmax(-1)
    return {
        "error": class_AN != target_N,
        "confidence": probability_ANK.max(-1),
        "entropy": -(probability_ANK * np.log(np.clip(probability_ANK, 1e-300, 1.0))).sum(-1),
        "flip": class_AN != class_AN[:1],
    }
