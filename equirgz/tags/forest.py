"""One random forest for all classes, its thresholds chosen on the sources that each tree did not see.

Legend: N subjects, T terms, K classes.
"""

from __future__ import annotations

import numpy as np

from equirgz.errors import require

N_TREES, LEAF = 150, 2


def f1_of_classes(said_NK: np.ndarray, is_NK: np.ndarray) -> np.ndarray:
    """Return F1_K = 2 TP / (2 TP + FP + FN), 0 for a class that is neither said nor true."""
    said_NK, is_NK = np.asarray(said_NK, bool), np.asarray(is_NK, bool)
    total_K = said_NK.sum(0) + is_NK.sum(0)
    return np.divide(2.0 * (said_NK & is_NK).sum(0), total_K, out=np.zeros(len(total_K)), where=total_K > 0)


def weighted_f1(said_NK: np.ndarray, is_NK: np.ndarray) -> float:
    """Return the mean of the classes' F1, weighted by how many subjects have the class, as scikit-learn's."""
    n_K = np.asarray(is_NK, bool).sum(0)
    return float((f1_of_classes(said_NK, is_NK) * n_K).sum() / max(n_K.sum(), 1))


def macro_f1(said_NK: np.ndarray, is_NK: np.ndarray) -> float:
    """Return the plain mean of the classes' F1."""
    return float(f1_of_classes(said_NK, is_NK).mean())


class TagForest:
    """A forest of trees on counts of terms; every class has its own threshold, that of the best out-of-bag F1.

    The out-of-bag probability of a subject is that of the trees which were not grown on it, so that thresholds,
    and ``oob_f1``, the weighted F1 that chooses between forests, need no subject besides the training ones.
    """

    def __init__(self, count_NT: np.ndarray, target_NK: np.ndarray, *, n_trees: int = N_TREES, seed: int = 0) -> None:
        from sklearn.ensemble import RandomForestClassifier

        require(n_trees >= 50, "n_trees", expected=">= 50, so that every subject is out of some bag", got=n_trees)
        self._varies_K = np.ptp(target_NK, axis=0) > 0  # a class that all or none of these subjects have is not learnt
        require(self._varies_K.any(), "classes", expected="one that some subjects have", got="none")
        varying_NK = target_NK[:, self._varies_K]
        self._forest = RandomForestClassifier(n_trees, min_samples_leaf=LEAF, random_state=seed, oob_score=True)
        self._forest.fit(count_NT, varying_NK if varying_NK.shape[1] > 1 else varying_NK[:, 0])
        oob = self._forest.oob_decision_function_
        oob_NK = self._all_classes(oob[:, 1].reshape(len(count_NT), -1))
        self.threshold_K = best_thresholds(oob_NK, target_NK)
        self.oob_f1 = weighted_f1(oob_NK >= self.threshold_K, target_NK)
        self.importance_T = self._forest.feature_importances_

    def probabilities(self, count_NT: np.ndarray) -> np.ndarray:
        """Return p_NK, 0 for a class that the forest could not learn."""
        found = self._forest.predict_proba(count_NT)
        return self._all_classes(np.stack([p[:, 1] for p in (found if isinstance(found, list) else [found])], axis=1))

    def predict(self, count_NT: np.ndarray) -> np.ndarray:
        """Return said_NK, 1 where the probability reaches the class's threshold."""
        return (self.probabilities(count_NT) >= self.threshold_K).astype(np.int64)

    def _all_classes(self, p_NV: np.ndarray) -> np.ndarray:
        p_NK = np.zeros((len(p_NV), len(self._varies_K)))
        p_NK[:, self._varies_K] = p_NV
        return p_NK


def best_thresholds(p_NK: np.ndarray, target_NK: np.ndarray) -> np.ndarray:
    """Return, per class, the threshold of the best F1 on these subjects: half-way between neighbouring probabilities.

    Of several that are as good the highest; above all probabilities where the class has no subject.
    """
    found = []
    for p_N, is_N in zip(p_NK.T, np.asarray(target_NK).T, strict=True):
        order = np.argsort(-p_N, kind="stable")
        p, hits = p_N[order], np.cumsum(is_N[order])
        f1 = 2 * hits / (np.arange(1, len(p) + 1) + max(is_N.sum(), 1))
        last = np.append(p[:-1] > p[1:], True)  # all subjects of one probability are said together
        f1 = np.where(last, f1, -1)
        best = int(f1.argmax())
        below = p[best + 1] if best + 1 < len(p) else 0.0
        found.append((p[best] + below) / 2 if is_N.any() else p[0] + 1)
    return np.array(found)
