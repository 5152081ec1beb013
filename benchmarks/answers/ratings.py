"""Does rating a few sources find the interesting ones? On the human scores of mgcls_extended.

20 sources drawn at random are rated by their scores, then five times the 10 that the search proposes. Counted are the
sources with a score of 4 or 5 among the first 100 of those that were not rated. Legend: N sources, F features.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from equirgz.answers.source_model import SourceModel
from equirgz.data.datasets import DATASETS
from equirgz.evaluate.anomaly import AnomalySearch
from equirgz.metrics.interval import student_interval

FIRST, ROUNDS, EACH, SHOWN, INTERESTING, SEEDS = 20, 5, 10, 100, 4, 10


def simulate_user(h_NF: np.ndarray, score_N: np.ndarray, seed: int) -> dict[str, float]:
    """Return how many interesting unrated sources are among the first 100: of the search, the forest and by chance.

    All three orders are of the sources that the user of the search has not rated.
    """
    search = AnomalySearch(h_NF, seed=seed)
    start = np.random.default_rng(seed).choice(len(h_NF), FIRST, replace=False)
    search.tell(start, score_N[start])
    for _ in range(ROUNDS):
        proposed = search.propose(EACH)
        search.tell(proposed, score_N[proposed])
    rated = np.array(list(search.ratings))
    good_N = score_N >= INTERESTING
    left_N = np.setdiff1d(np.arange(len(h_NF)), rated)

    def count(order_N: np.ndarray) -> float:
        return float(good_N[order_N[~np.isin(order_N, rated)][:SHOWN]].sum())

    return {
        "search": count(search.rank()),
        "isolation_forest": count(np.argsort(-search.prior_N, kind="stable")),
        "chance": float(SHOWN * good_N[left_N].mean()),
        "left": float(good_N[left_N].sum()),
        "rated": float(good_N[rated].sum()),
    }


def measure_ratings(model: SourceModel, root: Path | None) -> pd.DataFrame:
    """Return mean and half-width of Student's 95 % interval over 10 seeds, one row per order."""
    data = DATASETS.create("mgcls_extended", root, scored=True).train
    h_NF = model.features(data)
    score_N = data.table["anomaly_score"].to_numpy(float)
    found = [simulate_user(h_NF, score_N, seed) for seed in range(SEEDS)]
    rows: list[dict[str, Any]] = []
    for name in found[0]:
        value = np.array([one[name] for one in found])
        rows.append({
            "what": name, "mean": float(value.mean()), "half_width": float(student_interval(value).half_width),
            "n_seeds": SEEDS, "n_sources": len(data), "n_interesting": int((score_N >= INTERESTING).sum()),
        })  # fmt: skip
    return pd.DataFrame(rows)
