"""A scikit-learn regressor around every backbone and objective. Legend: N sources, T quantities."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import MultiOutputMixin, RegressorMixin

from equirgz.errors import InputError
from equirgz.tasks.regression import Quantity, Regression
from equirgz.train.estimators.customs import check_features, check_weights
from equirgz.train.estimators.image_estimator import ImageEstimator


class EquirgzRegressor(MultiOutputMixin, RegressorMixin, ImageEstimator):
    """Regression of numbers on images with the interface of scikit-learn: fit, predict, transform, score (R^2).

    Numbers are (N,) or (N, T), finite; what is learnt is standardised by the training set. For sizes and flux
    densities, whose logarithm is learnt better, put it into scikit-learn's ``TransformedTargetRegressor``. Images and
    parameters: see :class:`~equirgz.train.estimators.image_estimator.ImageEstimator`.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> EquirgzRegressor:
        """Train on images and numbers; sets ``n_outputs_``, ``n_features_in_``, ``objective_`` and ``log_``.

        Sources are drawn in proportion to ``sample_weight``: 2 is the same source twice, 0 leaves it out.
        Raises InputError or DataError for images, numbers or weights that cannot be trained on.
        """
        encoder = self._start_encoder()
        check_features(self, X, fitted=False)
        x_NCHW = self._prepare(X, encoder)
        value_NT = check_numbers(y, self.missing)
        kept_N, weight_N = check_weights(sample_weight, len(x_NCHW))
        if not kept_N.all() and len(value_NT) == len(kept_N):
            x_NCHW, value_NT = x_NCHW[torch.from_numpy(kept_N)], value_NT[kept_N]
        self._one_axis = np.asarray(y).ndim == 1
        self.n_outputs_ = value_NT.shape[1]
        task = Regression(tuple(Quantity(f"y{t}") for t in range(self.n_outputs_)))
        self._train(x_NCHW, value_NT, task, weight_N, encoder)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return value_NT, or (N,) where the numbers of ``fit`` were, the mean over predictive samples."""
        value_NT = self._answer(X)
        return value_NT[:, 0] if self._one_axis else value_NT


def check_numbers(y: Any, missing: Any = ()) -> np.ndarray:
    """Return numbers as float64 (N, T); InputError for text, for missing or infinite ones, and for other shapes."""
    mend = "leave sources without a number out"
    if y is None:
        raise InputError("fit requires y to be passed, but the target y is None; give one number per image")
    values = np.asarray(y)
    if values.dtype.kind in "OUS":
        absent = sum(value is None or value in tuple(missing) for value in values.ravel().tolist())
        if absent:
            raise InputError("numbers", expected="finite numbers", got=f"{absent} missing", mend=mend)
    if np.iscomplexobj(values):
        raise InputError("numbers", expected="real numbers", got="Complex data not supported")
    try:
        value_N = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        got = " ".join(str(error).split())
        raise InputError("numbers", expected="numbers", got=got, mend="texts are classes: EquirgzClassifier") from error
    if value_N.ndim not in (1, 2):
        raise InputError("numbers", expected="shape (N,) or (N, T)", got=value_N.shape)
    bad = int((~np.isfinite(value_N)).sum())
    if bad:
        raise InputError(
            "numbers", expected="finite numbers", got=f"Input y contains NaN or infinity: {bad}", mend=mend
        )
    if len(value_N) == 1:
        raise InputError("numbers", expected="at least two different ones", got="1 sample")
    return value_N[:, None] if value_N.ndim == 1 else value_N
