"""How well tags are predicted. Legend: N sources, T tags; a target that is NaN was not asked."""

from __future__ import annotations

import numpy as np


def average_precision(probability_NT: np.ndarray, target_NT: np.ndarray) -> np.ndarray:
    """Return each tag's average precision AP = sum over ranks of (R_k - R_(k-1)) P_k, as scikit-learn defines it.

    NaN for a tag that no asked source, or every one, carries.
    """
    from sklearn.metrics import average_precision_score

    found = []
    for p_N, tag_N in zip(np.asarray(probability_NT).T, np.asarray(target_NT, np.float64).T, strict=True):
        asked_N = np.isfinite(tag_N)
        both = set(tag_N[asked_N].tolist()) == {0.0, 1.0}
        found.append(average_precision_score(tag_N[asked_N], p_N[asked_N]) if both else np.nan)
    return np.array(found)


def f1_score(probability_NT: np.ndarray, target_NT: np.ndarray, threshold: float = 0.5) -> float:
    """Return the mean over tags of F1 = 2 TP / (2 TP + FP + FN); NaN without a tag that is carried or predicted."""
    asked_NT = np.isfinite(target_NT)
    said_NT, is_NT = (np.asarray(probability_NT) >= threshold) & asked_NT, np.nan_to_num(target_NT) >= 0.5
    hits_T = (said_NT & is_NT).sum(0)
    total_T = said_NT.sum(0) + is_NT.sum(0)
    f1_T = np.divide(2 * hits_T, total_T, out=np.full(len(total_T), np.nan), where=total_T > 0)
    return float(np.nanmean(f1_T)) if np.isfinite(f1_T).any() else float("nan")
