"""Frechet distance between two sets of features. Legend: N and M sources, F features."""

from __future__ import annotations

import numpy as np

from equirgz.errors import InputError
from equirgz.metrics.check import check_finite


def check_features(first_NF: np.ndarray, second_MF: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two finite feature tables of equal width and at least two sources each, or raise InputError."""
    a_NF, b_MF = (
        check_finite("first features", first_NF, 2, 2),
        check_finite("second features", second_MF, 2, 2),
    )
    if a_NF.shape[1] != b_MF.shape[1]:
        raise InputError("features", expected="equally many per source", got=f"{a_NF.shape[1]} and {b_MF.shape[1]}")
    return a_NF, b_MF


def frechet_distance(first_NF: np.ndarray, second_MF: np.ndarray) -> float:
    """Return |m_a - m_b|^2 + tr(A + B - 2 (A B)^(1/2)) of the two Gaussians that fit the features.

    A and B are sample covariances (N - 1); units: features squared. The trace is that of the singular
    values of A^(1/2) B^(1/2), which is exact for rank-deficient covariances too. Its value depends
    on N and F even for two halves of one set (arXiv 2204.08816): read it with `measure_shift`.
    NaN: refused. Raises: InputError for unequal widths or fewer than two sources. Source: arXiv 1706.08500.
    """
    a_NF, b_MF = check_features(first_NF, second_MF)
    mean = a_NF.mean(axis=0) - b_MF.mean(axis=0)
    a_NF = (a_NF - a_NF.mean(axis=0)) / np.sqrt(len(a_NF) - 1)
    b_MF = (b_MF - b_MF.mean(axis=0)) / np.sqrt(len(b_MF) - 1)
    # tr (A B)^(1/2) is the nuclear norm of a b^T, because A = a^T a and B = b^T b
    cross = (
        np.linalg.svd(a_NF @ b_MF.T, compute_uv=False).sum()
        if len(a_NF) * len(b_MF) <= a_NF.shape[1] ** 2
        else (np.linalg.svd(_root(a_NF) @ _root(b_MF), compute_uv=False).sum())
    )
    return float(max(0.0, mean @ mean + (a_NF**2).sum() + (b_MF**2).sum() - 2 * cross))


def _root(x_NF: np.ndarray) -> np.ndarray:
    """Return the symmetric root of x^T x."""
    value_F, vector_FF = np.linalg.eigh(x_NF.T @ x_NF)
    return (vector_FF * np.sqrt(np.clip(value_F, 0, None))) @ vector_FF.T
