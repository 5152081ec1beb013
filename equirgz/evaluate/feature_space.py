"""Looking at an embedding: a 2-D map, clusters of similar sources, and how much of it is the size of the source.

Legend: N sources, F features.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from equirgz.errors import InputError, check_choice, require, require_package


def map_features(feature_NF: np.ndarray, method: str = "pca", *, seed: int = 0) -> np.ndarray:
    """Return position_N2: the two leading principal components, or UMAP (extra package umap-learn).

    Features are standardised first (constant ones dropped to 0). The sign of a principal component
    is fixed by its largest loading being positive. UMAP sees the first 200 components, 75
    neighbours, cosine distance and min_dist 0.01, as the maps of arXiv 2305.16127.
    """
    from sklearn.decomposition import PCA

    check_choice("map method", method, ("pca", "umap"))
    z_NF = _standardised(feature_NF, "map_features", 3)
    if method == "pca":
        pca = PCA(2, svd_solver="full").fit(z_NF)
        sign_2 = np.sign(pca.components_[np.arange(2), np.abs(pca.components_).argmax(1)])
        return pca.transform(z_NF) * np.where(sign_2 == 0, 1.0, sign_2)
    umap = require_package("umap", "map method 'umap' (method='pca' needs none)")
    z_NP = PCA(min(200, *z_NF.shape), random_state=seed).fit_transform(z_NF)
    neighbours = min(75, len(z_NP) - 1)
    return umap.UMAP(n_neighbors=neighbours, min_dist=0.01, metric="cosine", random_state=seed).fit_transform(z_NP)


def cluster_sources(feature_NF: np.ndarray, *, n_components: int = 10, min_size: int = 5, seed: int = 0) -> np.ndarray:
    """Return cluster_N (0 the largest, -1 for sources in none): HDBSCAN on principal components.

    Groups of at least ``min_size`` similar sources, for looking through a survey group by group
    (arXiv 2312.02910).
    """
    from sklearn.cluster import HDBSCAN
    from sklearn.decomposition import PCA

    z_NF = _standardised(feature_NF, "cluster_sources", min_size)
    z_NP = PCA(min(n_components, *z_NF.shape), random_state=seed).fit_transform(z_NF)
    found_N = HDBSCAN(min_cluster_size=min_size, copy=True).fit_predict(z_NP)
    clusters, sizes = np.unique(found_N[found_N >= 0], return_counts=True)
    rank = {cluster: i for i, cluster in enumerate(clusters[np.argsort(-sizes, kind="stable")])}
    return np.array([rank.get(cluster, -1) for cluster in found_N])


def correlate_with_size(
    feature_NF: np.ndarray,
    size_N: np.ndarray,
    *,
    name: str = "size",
    n_folds: int = 5,
    n_bootstrap: int = 500,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Return rows that say how much of the logarithm of ``size_N`` the features carry.

    ``representation/size_r2``: out-of-fold R^2 of ridge regression of log(size) on standardised
    features, with the 95 % bootstrap interval over sources (``low``, ``high``).
    ``representation/size_spearman``: rank correlation of out-of-fold prediction and size.
    ``name`` takes the place of ``size`` in these, to tell angular from physical size
    (:func:`equirgz.data.sky.physical_size.physical_size_kpc`).
    Sources whose size is not a positive number are left out; ``n`` counts the others.

    Raises InputError with fewer than two sources per fold, or when all sizes are equal.
    """
    from scipy.stats import spearmanr
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import KFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    size_N = np.asarray(size_N, float)
    feature_NF = np.asarray(feature_NF, float)
    if feature_NF.ndim != 2 or size_N.shape != (len(feature_NF),):
        got = f"{feature_NF.shape} and {size_N.shape}"
        raise InputError("correlate_with_size", expected="features (N, F) and sizes (N,)", got=got)
    known_N = np.isfinite(size_N) & (size_N > 0) & np.isfinite(feature_NF).all(1)
    n = int(known_N.sum())
    if n < 2 * n_folds or np.ptp(size_N[known_N]) == 0:
        got = f"{n} sources with a size" if n < 2 * n_folds else "one size for all"
        raise InputError("correlate_with_size", expected=f"at least {2 * n_folds} sizes that differ", got=got)
    y_n = np.log(size_N[known_N])
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))
    folds = KFold(n_folds, shuffle=True, random_state=seed)
    guess_n = cross_val_predict(model, feature_NF[known_N], y_n, cv=folds)

    def r2(index: np.ndarray) -> float:
        y, guess = y_n[index], guess_n[index]
        return 1.0 - float(((y - guess) ** 2).sum() / ((y - y.mean()) ** 2).sum())

    rng = np.random.default_rng(seed)
    draws = [index for index in (rng.integers(0, n, n) for _ in range(n_bootstrap)) if np.ptp(y_n[index]) > 0]
    low, high = np.quantile([r2(index) for index in draws], (0.025, 0.975))
    interval = {"low": float(low), "high": float(high)}
    common = {"unit": "1", "direction": "none", "n": n}
    spearman = spearmanr(guess_n, y_n).statistic if np.ptp(guess_n) > 0 else 0.0
    return [
        {"metric": f"representation/{name}_r2", "value": r2(np.arange(n)), **interval, **common},
        {"metric": f"representation/{name}_spearman", "value": float(spearman), **common},
    ]


def _standardised(feature_NF: np.ndarray, what: str, least: int) -> np.ndarray:
    feature_NF = np.asarray(feature_NF, np.float64)
    if feature_NF.ndim != 2 or len(feature_NF) < least or feature_NF.shape[1] < 2:
        expected = f"features (N, F) with N >= {least}, F >= 2"
        raise InputError(what, expected=expected, got=feature_NF.shape)
    require(np.isfinite(feature_NF).all(), what, expected="finite features", got="NaN or infinity")
    deviation_F = feature_NF.std(0)
    return (feature_NF - feature_NF.mean(0)) / np.where(deviation_F > 0, deviation_F, 1.0)
