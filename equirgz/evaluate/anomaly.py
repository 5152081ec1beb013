"""Ranking sources by how unusual they are, with the user's own ratings fed back (arXiv 2110.12735).

A first ranking needs no ratings (isolation forest, or distance to the k-th neighbour). Then a
Gaussian process on the leading principal components of the features learns the user's interest
from a few ratings, and proposes next the sources where the interest may be highest.
Legend: N sources, F features.
"""

from __future__ import annotations

import warnings

import numpy as np

from equirgz.errors import InputError, check_choice, require
from equirgz.retrieval.engine import search

METHODS = ("isolation_forest", "neighbour_distance")


def compute_anomaly(
    feature_NF: np.ndarray, method: str = "isolation_forest", *, k: int = 5, seed: int = 0
) -> np.ndarray:
    """Return score_N, higher for stranger sources, without any label.

    ``isolation_forest``: scikit-learn's, 300 trees, on standardised features.
    ``neighbour_distance``: one minus the cosine similarity to the k-th neighbour.
    Raises InputError for NaN, an unknown method or fewer than two sources.
    """
    check_choice("anomaly method", method, METHODS)
    feature_NF = _check_features(feature_NF)
    if method == "neighbour_distance":
        _, similarity_Nk = search(feature_NF, feature_NF, k, leave_out_Q=np.arange(len(feature_NF)))
        return 1.0 - similarity_Nk[:, -1]
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=300, random_state=seed).fit(_standardise(feature_NF))
    return -forest.score_samples(_standardise(feature_NF))


class AnomalySearch:
    """Active search: ``propose`` sources, the user rates them, ``tell`` the ratings, ``rank`` all.

    Parameters
    ----------
    feature_NF : embedding of all sources.
    n_components : principal components the Gaussian process sees (at most F and N).
    method, seed : of the first, unrated ranking (see :func:`compute_anomaly`).

    >>> import numpy as np
    >>> search = AnomalySearch(np.random.default_rng(0).normal(size=(40, 4)))
    >>> search.tell(search.propose(3), [0, 1, 0])
    >>> len(search.rank())
    40
    """

    def __init__(
        self, feature_NF: np.ndarray, *, n_components: int = 10, method: str = "isolation_forest", seed: int = 0
    ) -> None:
        from sklearn.decomposition import PCA

        feature_NF = _check_features(feature_NF)
        self.prior_N = compute_anomaly(feature_NF, method, seed=seed)
        n_components = min(n_components, *feature_NF.shape)
        z_NP = PCA(n_components, random_state=seed).fit_transform(_standardise(feature_NF))
        self._z_NP = z_NP / max(float(z_NP.std()), 1e-12)
        self._seed = seed
        self.ratings: dict[int, float] = {}

    def tell(self, index: int | np.ndarray, rating: float | np.ndarray) -> None:
        """Record ratings (any scale, higher is more interesting); rating a source again replaces."""
        index, rating = np.atleast_1d(index), np.atleast_1d(np.asarray(rating, float))
        if len(index) != len(rating) or not np.isfinite(rating).all():
            raise InputError("anomaly ratings", expected="one finite number per source", got=rating)
        for i, value in zip(index, rating, strict=True):
            if not 0 <= i < len(self.prior_N):
                raise InputError("anomaly source", expected=f"0 to {len(self.prior_N) - 1}", got=i)
            self.ratings[int(i)] = float(value)

    def predict(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (mean_N, deviation_N) of the interest that the Gaussian process expects."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

        if not self.ratings:
            raise InputError("anomaly search: expected at least one rating, got none; call tell first")
        index, rating = np.array(list(self.ratings)), np.array(list(self.ratings.values()))
        dimension = self._z_NP.shape[1]
        smooth = ConstantKernel(1.0, (0.05, 20.0)) * RBF(np.sqrt(dimension), (0.1, 100.0))
        kernel = smooth + WhiteKernel(0.1, (1e-3, 1.0))
        spread = float(rating.std()) or 1.0
        process = GaussianProcessRegressor(kernel, random_state=self._seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound is a fit, not a fault
            process.fit(self._z_NP[index], (rating - rating.mean()) / spread)
        mean_N, deviation_N = process.predict(self._z_NP, return_std=True)
        return mean_N * spread + rating.mean(), deviation_N * spread

    def propose(self, n: int = 1) -> np.ndarray:
        """Return the ``n`` unrated sources to look at next, most promising first.

        Without ratings those of the highest first score; then those of the highest upper bound
        ``mean + deviation``, equal ones by the first score. Fewer when fewer are left.
        """
        if not self.ratings:
            value_N = self.prior_N.copy()
        else:
            mean_N, deviation_N = self.predict()
            value_N = mean_N + deviation_N
        order_N = self._order(value_N)
        return order_N[~np.isin(order_N, list(self.ratings))][:n]

    def rank(self) -> np.ndarray:
        """Return all source indices, the most interesting first: by the mean, or the first score without ratings."""
        value_N = self.predict()[0] if self.ratings else self.prior_N
        return self._order(value_N)

    def _order(self, value_N: np.ndarray) -> np.ndarray:
        """Return all indices, the highest value first; equal ones stand as in the first ranking."""
        step = 1e-6 * max(float(np.abs(value_N).max()), 1e-12)
        return np.lexsort((-self.prior_N, -np.round(value_N / step)))


def _check_features(feature_NF: np.ndarray) -> np.ndarray:
    feature_NF = np.asarray(feature_NF, np.float64)
    if feature_NF.ndim != 2 or len(feature_NF) < 2:
        raise InputError("anomaly", expected="features (N, F) of at least 2 sources", got=feature_NF.shape)
    require(np.isfinite(feature_NF).all(), "anomaly", expected="finite features", got="NaN or infinity")
    return feature_NF


def _standardise(feature_NF: np.ndarray) -> np.ndarray:
    deviation_F = feature_NF.std(0)
    return (feature_NF - feature_NF.mean(0)) / np.where(deviation_F > 0, deviation_F, 1.0)
