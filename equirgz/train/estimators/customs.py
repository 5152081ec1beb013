"""scikit-learn's customs of an estimator of images: numbers and names of features, weights of sources."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.validation import validate_data

from equirgz.errors import ImageError, InputError


def check_features(estimator: BaseEstimator, X: Any, *, fitted: bool) -> None:
    """Record, or where ``fitted`` check, how many features ``X`` has and their names, before it is converted.

    Flat images are held to the number seen in ``fit`` (``n_features_in_``); images with their axes are not, since
    they are resampled, and count as so many features as pixels. Raises ImageError in scikit-learn's words.
    """
    shape = _shape(X)
    if len(shape) < 2 or hasattr(X, "toarray"):
        return  # refused where the images are converted, in its words
    flat = len(shape) == 2
    try:
        validate_data(estimator, X, skip_check_array=True, reset=not fitted, ensure_2d=flat)
    except ValueError as error:
        line = " ".join(str(error).split())
        alone = flat and shape[0] == shape[1]
        mend = "one image is images[None]" if alone else "give images as fit saw them"
        raise ImageError(f"images {shape}: {line}; {mend}") from error
    if not flat and not fitted:
        estimator.n_features_in_ = int(np.prod(shape[1:]))


def _shape(X: Any) -> tuple[int, ...]:
    X = getattr(X, "x_NCHW", X)
    if hasattr(X, "iloc") and X.ndim == 1:
        X = list(X)
    if isinstance(X, (list, tuple)):
        return (len(X), *np.shape(X[0])) if len(X) else (0,)
    return tuple(X.shape) if hasattr(X, "shape") else np.asarray(X).shape


def warn_of_column(y: Any) -> None:
    """Warn, as scikit-learn's estimators do, of labels (N, 1), which are read as (N,)."""
    if getattr(y, "ndim", 1) == 2:
        line = "A column-vector y was passed when a 1d array was expected; it is read as (n_samples,)"
        warnings.warn(line, DataConversionWarning, stacklevel=3)


def check_weights(sample_weight: Any, n: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Return which sources weigh anything (N,), and the weights of those; None where all weigh the same.

    Raises InputError unless there is one finite weight >= 0 per source, and one above 0.
    """
    if sample_weight is None:
        return np.ones(n, bool), None
    expected = f"{n} finite numbers >= 0, one per image, and one above 0"
    try:
        weight_N = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("sample_weight", expected=expected, got=" ".join(str(error).split())) from error
    if weight_N.ndim == 0:
        weight_N = np.full(n, weight_N)
    if weight_N.shape != (n,):
        raise InputError("sample_weight", expected=expected, got=f"the shape {weight_N.shape}")
    if not np.isfinite(weight_N).all() or weight_N.min() < 0 or not weight_N.any():
        got = f"values from {weight_N.min():g} to {weight_N.max():g}" if weight_N.any() else "only zeros"
        raise InputError("sample_weight", expected=expected, got=got, mend="leave unknown sources out")
    kept_N = weight_N > 0
    weight_N = weight_N[kept_N]
    return kept_N, None if (weight_N == weight_N[0]).all() else weight_N
