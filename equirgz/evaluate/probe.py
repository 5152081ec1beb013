"""Read-outs of frozen features: logistic regression and nearest neighbours.

Legend: N sources, M test sources, F features, K classes.
"""

from __future__ import annotations

import warnings

import numpy as np

from equirgz.errors import InputError


def linear_probe(
    h_train_NF: np.ndarray,
    y_train_N: np.ndarray,
    h_test_MF: np.ndarray,
    *,
    n_classes: int | None = None,
    inverse_penalty: float = 1.0,
    max_iterations: int = 1000,
) -> np.ndarray:
    """Return probability_MK of multinomial logistic regression on standardised features.

    Features are centred and scaled by the TRAINING mean and deviation (constant ones are centred
    only); the L2 penalty is scikit-learn's ``C = inverse_penalty``. ``n_classes`` is the number of
    columns; a class without training sources gets probability 0.

    Raises InputError for NaN, shapes that disagree, or fewer than two classes in training.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    h_train_NF, y_train_N, h_test_MF = _check("linear_probe", h_train_NF, y_train_N, h_test_MF)
    present = np.unique(y_train_N)
    if len(present) < 2:
        raise InputError("linear_probe: training labels", expected="at least 2 classes", got=f"only class {present[0]}")
    scaler = StandardScaler().fit(h_train_NF)
    model = LogisticRegression(C=inverse_penalty, max_iter=max_iterations)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the L2 penalty keeps the solution finite
        model.fit(scaler.transform(h_train_NF), y_train_N)
    probability_MK = np.zeros((len(h_test_MF), _n_classes(n_classes, y_train_N)))
    probability_MK[:, present] = model.predict_proba(scaler.transform(h_test_MF))
    return probability_MK


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


def normalise(h_NF: np.ndarray) -> np.ndarray:
    """Return rows of length 1 (float64); a row of zeros stays zero."""
    h_NF = np.asarray(h_NF, np.float64)
    length_N1 = np.linalg.norm(h_NF, axis=1, keepdims=True)
    return np.divide(h_NF, length_N1, out=np.zeros_like(h_NF), where=length_N1 > 0)


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
