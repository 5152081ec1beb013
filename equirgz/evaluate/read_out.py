"""Answers to any task from frozen features: linear models and nearest neighbours.

Legend: N training sources, M test sources, F features, O outputs, T tags, k neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from equirgz.errors import InputError
from equirgz.evaluate.probe import knn, linear_probe, normalise
from equirgz.tasks import Task

RIDGE_PENALTY = 1.0


def read_out(
    name: str, task: Task, h_train_NF: np.ndarray, target_N: np.ndarray, h_test_MF: np.ndarray, **options: Any
) -> np.ndarray:
    """Return the answers of the probe ``name`` ("linear_probe" or "knn") for the test sources, as ``task`` has them.

    ``options`` are those of :mod:`equirgz.evaluate.probe`, of classes alone. Raises InputError for a task that no such
    probe can answer.
    """
    probe = PROBES.get((name, task.read_as))
    if probe is None:
        able = sorted(str(read_as) for other, read_as in PROBES if other == name)
        raise InputError(f"read-out {name}", expected=f"a task of {', '.join(able)}", got=f"the task {task.name}")
    return probe(task, np.asarray(h_train_NF, np.float64), target_N, np.asarray(h_test_MF, np.float64), **options)


def ridge(h_train_NF: np.ndarray, output_NO: np.ndarray, h_test_MF: np.ndarray) -> np.ndarray:
    """Return output_MO of a ridge regression on standardised features, penalty 1, each output where it is known."""
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    columns = []
    for output_N in output_NO.T:
        known_N = np.isfinite(output_N)
        scaler = StandardScaler().fit(h_train_NF[known_N])
        model = Ridge(alpha=RIDGE_PENALTY).fit(scaler.transform(h_train_NF[known_N]), output_N[known_N])
        columns.append(model.predict(scaler.transform(h_test_MF)))
    return np.stack(columns, 1)


def mean_of_neighbours(
    h_train_NF: np.ndarray, output_NO: np.ndarray, h_test_MF: np.ndarray, k: int = 20, temperature: float = 0.1
) -> np.ndarray:
    """Return output_MO, the mean over the ``k`` training sources of largest cosine s that know it.

    Weights are ``exp((s - s_max) / temperature)``, as of :func:`equirgz.evaluate.probe.knn`.
    """
    similarity_MN = normalise(h_test_MF) @ normalise(h_train_NF).T
    columns = []
    for output_N in output_NO.T:
        known_n = np.flatnonzero(np.isfinite(output_N))
        near_Mk = np.argsort(-similarity_MN[:, known_n], axis=1, kind="stable")[:, :k]
        s_Mk = np.take_along_axis(similarity_MN[:, known_n], near_Mk, 1)
        weight_Mk = np.exp((s_Mk - s_Mk[:, :1]) / temperature)
        columns.append((weight_Mk * output_N[known_n][near_Mk]).sum(1) / weight_Mk.sum(1))
    return np.stack(columns, 1)


def tag_probe(h_train_NF: np.ndarray, tag_NT: np.ndarray, h_test_MF: np.ndarray) -> np.ndarray:
    """Return p_MT of a logistic regression per tag, fitted on the sources of which the tag was asked."""
    columns = []
    for tag_N in np.asarray(tag_NT, np.float64).T:
        asked_N = np.isfinite(tag_N)
        p_M2 = linear_probe(h_train_NF[asked_N], tag_N[asked_N].astype(np.int64), h_test_MF, n_classes=2)
        columns.append(p_M2[:, 1])
    return np.stack(columns, 1)


Probe = Callable[..., np.ndarray]
PROBES: dict[tuple[str, str | None], Probe] = {
    ("linear_probe", "classes"): lambda task, h, y, g, **how: linear_probe(h, y, g, n_classes=task.n_outputs, **how),
    ("knn", "classes"): lambda task, h, y, g, **how: knn(h, y, g, n_classes=task.n_outputs, **how),
    ("linear_probe", "numbers"): lambda task, h, y, g: task.decode(ridge(h, task.encode(y), g)),
    ("knn", "numbers"): lambda task, h, y, g: task.decode(mean_of_neighbours(h, task.encode(y), g)),
    ("linear_probe", "tags"): lambda task, h, y, g: tag_probe(h, y, g),
    ("knn", "tags"): lambda task, h, y, g: mean_of_neighbours(h, np.asarray(y, np.float64), g),
}
