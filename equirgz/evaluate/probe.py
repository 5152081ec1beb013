"""Read-outs of frozen features: logistic regression and nearest neighbours.

Legend: N sources, M test sources, F features, K classes.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from equirgz.errors import InputError, require
from equirgz.retrieval.engine import normalise

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression


#: penalties that cross-validation chooses from, scikit-learn's C, strongest first
PENALTY_PATH = tuple(10.0 ** (k / 2) for k in range(-8, 5))
_N_FOLDS = 5


@dataclass(frozen=True)
class Penalty:
    """A chosen penalty, C, and what it scores on labelled sources left out in turn: nll (nat) and share of wrong ones.

    Both scores are NaN where a class has one source and nothing can be left out.
    """

    inverse_penalty: float
    nll: float
    error: float


def linear_probe(
    h_train_NF: np.ndarray,
    y_train_N: np.ndarray,
    h_test_MF: np.ndarray,
    *,
    n_classes: int | None = None,
    inverse_penalty: float | Literal["cv"] = "cv",
    max_iterations: int = 1000,
) -> np.ndarray:
    """Return probability_MK of multinomial logistic regression on standardised features.

    Features are centred and scaled by the TRAINING mean and deviation (constant ones are centred
    only); the L2 penalty is scikit-learn's ``C = inverse_penalty``, or chosen among the training sources by
    :func:`choose_penalty`. ``n_classes`` is the number of columns; a class without training sources gets
    probability 0.

    Raises InputError for NaN, shapes that disagree, a penalty that is no positive number, or fewer than two classes
    in training.
    """
    h_train_NF, y_train_N, h_test_MF = _check("linear_probe", h_train_NF, y_train_N, h_test_MF)
    present = _present(y_train_N)
    if inverse_penalty == "cv":
        inverse_penalty = choose_penalty(h_train_NF, y_train_N, max_iterations=max_iterations).inverse_penalty
    _check_penalty(inverse_penalty)
    model = _make_model(inverse_penalty, max_iterations)
    probability_MK = np.zeros((len(h_test_MF), _n_classes(n_classes, y_train_N)))
    probability_MK[:, present] = _fit_predict(model, h_train_NF, y_train_N, h_test_MF)
    return probability_MK


def choose_penalty(
    h_NF: np.ndarray, y_N: np.ndarray, path: Sequence[float] = PENALTY_PATH, *, max_iterations: int = 1000
) -> Penalty:
    """Return the penalty of ``path`` with the lowest nll on training sources left out in turn.

    Stratified folds, five or as many as the rarest class has sources; features are standardised within each; of equal
    ones the strongest penalty. Nothing is drawn but the folds, always from the same seed. Features of untrained
    and of contrastively trained networks want C near 1, those of a network trained on simulated classes near 0.01:
    a fixed one would compare penalties, not features. Where a class has one source the middle of the path is taken.
    """
    from sklearn.model_selection import StratifiedKFold

    h_NF, y_N, _ = _check("choose_penalty", h_NF, y_N, h_NF)
    present = _present(y_N)
    path = sorted(path)
    for inverse_penalty in path:
        _check_penalty(inverse_penalty)
    rarest = int(min((y_N == k).sum() for k in present))
    if rarest < 2:
        return Penalty(path[len(path) // 2], float("nan"), float("nan"))
    folds = StratifiedKFold(min(_N_FOLDS, rarest), shuffle=True, random_state=0)
    code_N = np.searchsorted(present, y_N)
    p_CNK = np.zeros((len(path), len(y_N), len(present)))
    for fitted, left_out in folds.split(h_NF, y_N):
        model = _make_model(path[0], max_iterations, warm_start=True)
        for c, inverse_penalty in enumerate(path):
            model.set_params(C=inverse_penalty)
            p_CNK[c, left_out] = _fit_predict(model, h_NF[fitted], y_N[fitted], h_NF[left_out])
    nll_C = -np.log(p_CNK[:, np.arange(len(y_N)), code_N].clip(1e-15)).mean(1)
    best = int(np.argmin(nll_C))
    return Penalty(float(path[best]), float(nll_C[best]), float((p_CNK[best].argmax(1) != code_N).mean()))


def fit_logistic(h_NF: np.ndarray, y_N: np.ndarray, inverse_penalty: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return (weight_KF, bias_K) of :func:`linear_probe`, for features as they are: logits are ``h W^T + b``.

    All of K >= 2 classes, 0 to K - 1, must be there. Of two classes the logits are opposite numbers.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.preprocessing import StandardScaler

    h_NF, y_N, _ = _check("fit_logistic", h_NF, y_N, h_NF)
    _check_penalty(inverse_penalty)
    present = _present(y_N)
    require((present == np.arange(len(present))).all(), "fit_logistic: labels", expected="every class", got=present)
    scaler, model = StandardScaler().fit(h_NF), _make_model(inverse_penalty, 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaler.transform(h_NF), y_N)
    weight_KF, bias_K = model.coef_, model.intercept_
    if len(present) == 2:
        weight_KF, bias_K = np.concatenate([-weight_KF, weight_KF]) / 2, np.concatenate([-bias_K, bias_K]) / 2
    weight_KF = weight_KF / scaler.scale_
    return weight_KF, bias_K - weight_KF @ scaler.mean_


def _make_model(inverse_penalty: float, max_iterations: int, warm_start: bool = False) -> LogisticRegression:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=inverse_penalty, max_iter=max_iterations, warm_start=warm_start)


def _fit_predict(model: LogisticRegression, h_NF: np.ndarray, y_N: np.ndarray, h_MF: np.ndarray) -> np.ndarray:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(h_NF)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the L2 penalty keeps the solution finite
        model.fit(scaler.transform(h_NF), y_N)
    return model.predict_proba(scaler.transform(h_MF))


def _present(y_N: np.ndarray) -> np.ndarray:
    present = np.unique(y_N)
    if len(present) < 2:
        raise InputError("linear_probe: training labels", expected="at least 2 classes", got=f"only class {present[0]}")
    return present


def _check_penalty(value: object) -> None:
    positive = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < np.inf
    require(positive, "inverse_penalty", expected="a positive number or cv", got=repr(value))


def knn(
    h_train_NF: np.ndarray,
    y_train_N: np.ndarray,
    h_test_MF: np.ndarray,
    *,
    k: int = 20,
    temperature: float = 0.1,
    n_classes: int | None = None,
) -> np.ndarray:
    """Return probability_MK of the cosine-weighted vote of the ``k`` nearest training sources.

    A neighbour of similarity s votes exp((s - s_max) / temperature) for its class
    (arXiv 1805.01978); ``temperature=inf`` counts heads. ``k`` above N means all N. A feature
    vector of zeros is equally far from everything.

    Raises InputError for NaN, shapes that disagree, ``k`` < 1 or ``temperature`` <= 0.
    """
    h_train_NF, y_train_N, h_test_MF = _check("knn", h_train_NF, y_train_N, h_test_MF)
    if k < 1 or not temperature > 0:
        raise InputError("knn", expected="k >= 1 and temperature > 0", got=f"k={k}, temperature={temperature}")
    k = min(k, len(h_train_NF))
    similarity_MN = normalise(h_test_MF) @ normalise(h_train_NF).T
    near_Mk = np.argsort(-similarity_MN, axis=1, kind="stable")[:, :k]
    s_Mk = np.take_along_axis(similarity_MN, near_Mk, 1)
    weight_Mk = np.exp((s_Mk - s_Mk[:, :1]) / temperature)
    probability_MK = np.zeros((len(h_test_MF), _n_classes(n_classes, y_train_N)))
    np.add.at(probability_MK, (np.arange(len(h_test_MF))[:, None], y_train_N[near_Mk]), weight_Mk)
    return probability_MK / probability_MK.sum(1, keepdims=True)


def _n_classes(n_classes: int | None, y_N: np.ndarray) -> int:
    found = int(y_N.max()) + 1
    if n_classes is not None and n_classes < found:
        raise InputError("n_classes", expected=f"at least {found}", got=n_classes)
    return found if n_classes is None else n_classes


def _check(what: str, h_NF: np.ndarray, y_N: np.ndarray, h_MF: np.ndarray) -> tuple[np.ndarray, ...]:
    h_NF, y_N, h_MF = np.asarray(h_NF, np.float64), np.asarray(y_N), np.asarray(h_MF, np.float64)
    if h_NF.ndim != 2 or h_MF.ndim != 2 or h_NF.shape[1] != h_MF.shape[1] or y_N.shape != (len(h_NF),):
        got = f"{h_NF.shape}, {y_N.shape}, {h_MF.shape}"
        raise InputError(what, expected="features (N, F), labels (N,), features (M, F)", got=got)
    if len(y_N) == 0 or not np.issubdtype(y_N.dtype, np.integer) or y_N.min() < 0:
        raise InputError(f"{what}: labels", expected="integers >= 0", got=y_N[:5], mend="leave unlabelled sources out")
    for name, h in (("training", h_NF), ("test", h_MF)):
        if not np.isfinite(h).all():
            raise InputError(f"{what}: {name} features", expected="finite numbers", got="NaN or infinity")
    return h_NF, y_N, h_MF
