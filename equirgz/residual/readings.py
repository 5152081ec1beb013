"""How much of a column can be read off features, by a linear and by a non-linear probe, out of fold.

Legend: N sources, F features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from equirgz.errors import InputError, check_choice, require

PROBES = ("linear", "nonlinear")
MOST = 4000  # sources; the non-linear probe costs their square
_N_FOLDS = 5


@dataclass(frozen=True)
class Reading:
    """What probes read: ``kind`` accuracy (of classes) or r2 (of numbers), ``chance`` without any feature, ``n``."""

    kind: Literal["accuracy", "r2"]
    linear: float
    nonlinear: float
    chance: float
    n: int

    @property
    def best(self) -> float:
        """The larger of both: what is known to be there."""
        return max(self.linear, self.nonlinear)


def read_off(feature_NF: np.ndarray, value_N: np.ndarray, *, seed: int = 0) -> Reading:
    """Return how well both probes tell ``value_N`` from features: texts, bools and integers are classes.

    ``accuracy``: share of sources whose class is named; ``chance`` is the share of the commonest. ``r2``: 1 less the
    squared error over the variance; ``chance`` 0, and below 0 is worse than the mean. Linear: logistic or ridge
    regression; non-linear: support vectors with Gaussian kernels (C = 10, scikit-learn's gamma "scale"). Features are
    standardised, five folds. Sources without a value (NaN, empty text, class -1) are left out, and of more than
    4000 so many are drawn.

    Raises InputError for shapes that disagree, NaN features, and fewer than ten sources with differing values.
    """
    feature_NF, value_N = np.asarray(feature_NF, np.float64), np.asarray(value_N)
    if feature_NF.ndim != 2 or value_N.shape != (len(feature_NF),):
        got = f"{feature_NF.shape} and {value_N.shape}"
        raise InputError("read_off", expected="features (N, F) and values (N,)", got=got)
    require(np.isfinite(feature_NF).all(), "read_off", expected="finite features", got="NaN or infinity")
    numbers = value_N.dtype.kind == "f"
    known_N = np.isfinite(value_N) if numbers else (value_N.astype(str) != "") & (value_N.astype(str) != "-1")
    index_n = np.flatnonzero(known_N)
    if len(index_n) > MOST:
        index_n = np.sort(np.random.default_rng(seed).permutation(index_n)[:MOST])
    x_nF, y_n = feature_NF[index_n], value_N[index_n] if numbers else value_N[index_n].astype(str)
    counts = np.unique(y_n, return_counts=True)[1]
    if len(y_n) < 2 * _N_FOLDS or len(counts) < 2:
        got = f"{len(y_n)} with {len(counts)} of them"
        raise InputError("read_off", expected=f"at least {2 * _N_FOLDS} sources and two values", got=got)
    score = {probe: _score(x_nF, y_n, probe, numbers, seed) for probe in PROBES}
    chance = 0.0 if numbers else float(counts.max() / len(y_n))
    return Reading("r2" if numbers else "accuracy", **score, chance=chance, n=len(y_n))


def _score(x_nF: np.ndarray, y_n: np.ndarray, probe: str, numbers: bool, seed: int) -> float:
    from sklearn.model_selection import KFold, cross_val_predict

    folds = KFold(_N_FOLDS, shuffle=True, random_state=seed)
    if numbers:
        scaled_n = (y_n - y_n.mean()) / y_n.std()
        guess_n = cross_val_predict(make_probe(probe, numbers=True), x_nF, scaled_n, cv=folds)
        return float(1 - np.mean((scaled_n - guess_n) ** 2))
    guess_n = cross_val_predict(make_probe(probe, numbers=False), x_nF, y_n, cv=folds)
    return float((guess_n == y_n).mean())


def make_probe(probe: str, *, numbers: bool) -> Any:
    """Return scikit-learn's pipeline of a probe, ``linear`` or ``nonlinear``, for numbers or for classes."""
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC, SVR

    check_choice("probe", probe, PROBES)
    if probe == "linear":
        model = RidgeCV(np.logspace(-2, 4, 13)) if numbers else LogisticRegression(max_iter=1000)
    else:
        model = SVR(C=10.0) if numbers else SVC(C=10.0)
    return make_pipeline(StandardScaler(), model)


def describe(before: Reading, after: Reading) -> str:
    """Return both readings in words, with chance.

    >>> describe(Reading("accuracy", 0.9, 0.95, 0.5, 100), Reading("accuracy", 0.5, 0.52, 0.5, 100))
    'accuracy linear 0.90 -> 0.50, nonlinear 0.95 -> 0.52 (chance 0.50)'
    """
    pairs = (f"{p} {getattr(before, p):.2f} -> {getattr(after, p):.2f}" for p in ("linear", "nonlinear"))
    kind = "R2" if before.kind == "r2" else before.kind
    return f"{kind} {', '.join(pairs)} (chance {before.chance:.2f})"
