"""What is read from frozen features: classes, numbers with intervals, tags, and how unlike anything seen a source is.

Linear maps of arrays, without torch and without pickle: each is a few arrays by name (:meth:`arrays`), from which it is
built again. Legend: N sources, M reference sources, F features, E regressors, K classes, T numbers or tags,
B bins, V folds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np

from equirgz.errors import DataError
from equirgz.metrics.calibration.temperature_scaling import apply_temperature

NEIGHBOURS = 5  # whose mean distance is the distance from a reference
BINS = 6
LEVELS = (0.16, 0.5, 0.84)  # ends and middle of the 68 % interval
SAID = 0.5  # probability from which on a source is said to bear a tag
#: name -> (unit, transformation that makes its residuals alike, back, least, greatest)
NUMBERS: dict[str, tuple[str, Any, Any, float, float]] = {
    "las_arcsec": ("arcsec", np.log, np.exp, 0.0, np.inf),
    "core_share": ("1", lambda share: np.sqrt(np.clip(share, 0, 1)), lambda root: np.clip(root, 0, 1) ** 2, 0.0, 1.0),
    "bending_deg": ("deg", lambda angle: np.sqrt(np.maximum(angle, 0)), lambda root: np.maximum(root, 0) ** 2, 0, 180),
}
Own = TypeVar("Own", bound="Arrays")


@dataclass(frozen=True)
class Arrays:
    """Abstract: a value that is nothing but arrays with names."""

    def arrays(self) -> dict[str, np.ndarray]:
        return {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def of(cls: type[Own], arrays: Mapping[str, np.ndarray]) -> Own:
        """Return what :meth:`arrays` described; DataError where one is missing."""
        names = [field.name for field in fields(cls)]
        missing = [name for name in names if name not in arrays]
        if missing:
            raise DataError(cls.__name__, expected=", ".join(names), got=f"no {missing[0]}", mend="save it again")
        return cls(**{name: np.asarray(arrays[name], np.float64) for name in names})


@dataclass(frozen=True)
class ClassReadOut(Arrays):
    """Linear logits of classes over one temperature, and the same of V folds that each left some sources out."""

    weight_KF: np.ndarray
    bias_K: np.ndarray
    temperature: np.ndarray
    fold_weight_VKF: np.ndarray
    fold_bias_VK: np.ndarray

    def probability(self, h_NF: np.ndarray) -> np.ndarray:
        """Return probability_NK = softmax((W h + b) / T)."""
        return apply_temperature(h_NF @ self.weight_KF.T + self.bias_K, float(self.temperature))

    def out_of_fold(self, h_NF: np.ndarray, fold_N: np.ndarray) -> np.ndarray:
        """Return probability_NK of the read-out that was fitted without the fold of each source (>= 0)."""
        logits_NK = np.einsum("nf,nkf->nk", h_NF, self.fold_weight_VKF[fold_N]) + self.fold_bias_VK[fold_N]
        return apply_temperature(logits_NK, float(self.temperature))


@dataclass(frozen=True)
class NumberReadOut(Arrays):
    """Linear numbers, and the quantiles of their residuals where the answer is small, medium, large.

    Regressors are features and measures of the image; NaN among them counts as ``fill_E``. ``centre_TB`` are linear
    answers (as :data:`NUMBERS` transforms them) at which the 16 %, 50 % and 84 % quantiles ``low_TB``, ``middle_TB``
    and ``high_TB`` of true minus predicted were measured on sources that fitted nothing; between them they are
    interpolated.
    """

    fill_E: np.ndarray
    weight_TE: np.ndarray
    bias_T: np.ndarray
    centre_TB: np.ndarray
    low_TB: np.ndarray
    middle_TB: np.ndarray
    high_TB: np.ndarray

    def predict(self, regressor_NE: np.ndarray) -> np.ndarray:
        """Return the transformed numbers (N, T)."""
        return np.where(np.isnan(regressor_NE), self.fill_E, regressor_NE) @ self.weight_TE.T + self.bias_T

    def answers(self, regressor_NE: np.ndarray, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Return name, name_low and name_high (68 % interval) of every number, arrays (N,) in its unit."""
        predicted_NT, found = self.predict(regressor_NE), {}
        for t, name in enumerate(names):
            _, _, back, least, greatest = NUMBERS[name]
            predicted_N = predicted_NT[:, t]
            for end, shift_TB in (("", self.middle_TB), ("_low", self.low_TB), ("_high", self.high_TB)):
                shifted_N = predicted_N + np.interp(predicted_N, self.centre_TB[t], shift_TB[t])
                found[f"{name}{end}"] = np.clip(back(shifted_N), least, greatest)
        return found


@dataclass(frozen=True)
class TagReadOut(Arrays):
    """A logistic regression per tag, and how often it was right on ``n`` sources that fitted and chose nothing.

    NaN among the regressors counts as ``fill_E``. ``said_T`` of the sources were said to bear a tag (probability of
    :data:`SAID` or more), ``right_T`` of these do, ``bearing_T`` do at all; ``average_precision_T`` is that of the
    order by probability.
    """

    fill_E: np.ndarray
    weight_TE: np.ndarray
    bias_T: np.ndarray
    n: np.ndarray
    bearing_T: np.ndarray
    said_T: np.ndarray
    right_T: np.ndarray
    average_precision_T: np.ndarray

    def probability(self, regressor_NE: np.ndarray) -> np.ndarray:
        """Return probability_NT = 1 / (1 + exp(-(W x + b)))."""
        logit_NT = np.where(np.isnan(regressor_NE), self.fill_E, regressor_NE) @ self.weight_TE.T + self.bias_T
        return 1 / (1 + np.exp(-np.clip(logit_NT, -50, 50)))


@dataclass(frozen=True)
class Reference(Arrays):
    """Features of sources that were seen, and how far from them a source of their kind may lie.

    Distances are between whitened features, to the mean of the 5 nearest, in units of ``limit``: what 1 % of sources of
    the same kind exceed that are compared with all others. Above 1 a source is unlike anything seen.
    """

    centre_F: np.ndarray
    whiten_FF: np.ndarray
    seen_MF: np.ndarray  # whitened
    limit: np.ndarray

    def whitened(self, h_NF: np.ndarray) -> np.ndarray:
        return (h_NF - self.centre_F) @ self.whiten_FF

    def score(self, h_NF: np.ndarray) -> np.ndarray:
        """Return the distance of every source in units of the limit, (N,)."""
        return nearest(self.whitened(h_NF), self.seen_MF)[1].mean(1) / float(self.limit)

    def alike(self, h_NF: np.ndarray, k: int) -> np.ndarray:
        """Return the indices of the ``k`` nearest sources that were seen, (N, k), nearest first."""
        return nearest(self.whitened(h_NF), self.seen_MF, k)[0]


def nearest(
    z_NF: np.ndarray, seen_MF: np.ndarray, k: int = NEIGHBOURS, *, same: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return (index_Nk, distance_Nk) of the ``k`` nearest (Euclid); with ``same`` no source is its own neighbour."""
    k = min(k, len(seen_MF) - same)
    index_Nk, distance_Nk = np.empty((len(z_NF), k), int), np.empty((len(z_NF), k))
    square_M = (seen_MF**2).sum(1)
    for start in range(0, len(z_NF), 1024):
        z_nF = z_NF[start : start + 1024]
        square_nM = (z_nF**2).sum(1)[:, None] + square_M - 2 * z_nF @ seen_MF.T
        if same:
            square_nM[np.arange(len(z_nF)), start + np.arange(len(z_nF))] = np.inf
        order_nk = np.argsort(square_nM, axis=1, kind="stable")[:, :k]
        index_Nk[start : start + 1024] = order_nk
        distance_Nk[start : start + 1024] = np.sqrt(np.maximum(np.take_along_axis(square_nM, order_nk, 1), 0))
    return index_Nk, distance_Nk
