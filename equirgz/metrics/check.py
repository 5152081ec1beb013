"""Input checks shared by every metric: a wrong array is an error, never a silent number.

Legend: N sources, K classes.
"""

from __future__ import annotations

import numpy as np

from equirgz.errors import InputError, require

SUM_TOLERANCE = 1e-4  # what a float32 softmax may miss one by


class UndefinedMetricError(InputError):
    """A number that does not exist for this input (one class only, fewer sources than bins)."""


def check_probability(probability_NK: np.ndarray) -> np.ndarray:
    """Return class probabilities as float64 in [0, 1], or raise InputError.

    Args: probability_NK: (N, K), N >= 1, K >= 2; each row sums to 1 within 1e-4. NaN is refused.
    Values that leave [0, 1] by less than the tolerance (float32 rounding) are clipped.
    Raises: InputError for NaN or infinity, values that look like logits, rows that do not sum to
    one, a wrong number of dimensions, or an empty array.
    """
    what = "probability_NK"
    try:
        p_NK = np.asarray(probability_NK, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(what, expected="an array of numbers", got=str(error)) from error
    if p_NK.ndim != 2 or p_NK.shape[1] < 2:
        raise InputError(
            what,
            expected="shape (N, K) with K >= 2",
            got=f"shape {p_NK.shape}",
            mend="for two classes stack (1 - p, p) as columns",
        )
    require(p_NK.shape[0] != 0, what, expected="at least one source", got="none")
    if not np.isfinite(p_NK).all():
        bad = int((~np.isfinite(p_NK)).any(axis=1).sum())
        raise InputError(
            what,
            expected="finite values",
            got=f"NaN or infinity for {bad} of {len(p_NK)} sources",
            mend="look for a diverged training",
        )
    low, high = p_NK.min(), p_NK.max()
    if low < -SUM_TOLERANCE or high > 1 + SUM_TOLERANCE:
        raise InputError(
            what,
            expected="values in [0, 1]",
            got=f"values from {low:.4g} to {high:.4g}",
            mend="these look like logits, apply softmax first",
        )
    miss = np.abs(p_NK.sum(axis=1) - 1)
    if miss.max() > SUM_TOLERANCE:
        raise InputError(
            what,
            expected="rows that sum to 1",
            got=f"row {int(miss.argmax())} that sums to {p_NK[miss.argmax()].sum():.4g}",
            mend="apply softmax, or divide by the row sum",
        )
    return np.clip(p_NK, 0.0, 1.0)


def check_target(target_N: np.ndarray, n_sources: int, n_classes: int) -> np.ndarray:
    """Return labels as int64 in [0, n_classes), one per source, or raise InputError."""
    what = "target_N"
    target_N = np.asarray(target_N)
    if target_N.shape != (n_sources,):
        raise InputError(
            what,
            expected=f"shape ({n_sources},)",
            got=f"shape {target_N.shape}",
            mend="give one class index per row of probabilities",
        )
    if target_N.dtype.kind not in "iub" and not (target_N.dtype.kind == "f" and (target_N == np.round(target_N)).all()):
        raise InputError(what, expected="whole class indices", got=f"{target_N.dtype} values")
    target_N = target_N.astype(np.int64)
    if target_N.min() < 0 or target_N.max() >= n_classes:
        raise InputError(
            what,
            expected=f"class indices 0 to {n_classes - 1}",
            got=f"indices from {target_N.min()} to {target_N.max()}",
            mend="drop unlabelled sources (-1) before measuring",
        )
    return target_N


def check_predictions(probability_NK: np.ndarray, target_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return checked (probability_NK float64, target_N int64); see the two checks above."""
    p_NK = check_probability(probability_NK)
    return p_NK, check_target(target_N, *p_NK.shape)


def check_several_classes(what: str, target_N: np.ndarray) -> None:
    """Raise UndefinedMetricError where all checked labels are of one class, so that ``what`` does not exist."""
    if (target_N == target_N[0]).all():
        raise UndefinedMetricError(what, expected="sources of at least two classes", got=f"class {target_N[0]} alone")


def check_finite(what: str, values: np.ndarray, ndim: int, n_min: int = 1) -> np.ndarray:
    """Return ``values`` as a finite float64 array of ``ndim`` axes and at least ``n_min`` entries."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(what, expected="an array of numbers", got=str(error)) from error
    if array.ndim != ndim or array.shape[0] < n_min or 0 in array.shape:
        raise InputError(what, expected=f"{ndim} axes and at least {n_min} entries", got=f"shape {array.shape}")
    require(np.isfinite(array).all(), what, expected="finite values", got="NaN or infinity")
    return array
