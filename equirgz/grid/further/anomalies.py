"""Looking through sources, the most promising first: with and without ratings. Legend: N sources, k looked at."""

from __future__ import annotations

import numpy as np

from equirgz.evaluate.anomaly import AnomalySearch, compute_anomaly
from equirgz.grid.further.answers import Answers, Rows, make_row
from equirgz.metrics.uncertainty.predictive_samples import predictive_entropy
from equirgz.seeding import derive_seed

LOOKED_AT = (10, 20, 40)
BATCH = 5  # sources that the search proposes before it is told how they are rated
N_HIDDEN = 30  # most of another set that are hidden among the sources of ``test``


def anomaly_rows(answers: Answers) -> Rows:
    """Return how many sources of each other test set, hidden among those of ``test``, are among the first k.

    Orders: an isolation forest on the features; an active search that proposes five at a time and is told which
    are wanted; the entropy of the network's answer; and the mean of a random order. The order in which ties and
    copies stand is the same for every network.
    """
    rows = []
    for split in answers.others:
        generator = np.random.default_rng(derive_seed(0, "hide", split))
        n_ordinary, n_other = (len(answers.label_N(name)) for name in ("test", split))
        hidden = n_ordinary + generator.permutation(n_other)[:N_HIDDEN]
        index_N = generator.permutation(np.concatenate([np.arange(n_ordinary), hidden]))
        wanted_N = index_N >= n_ordinary
        feature_NF = np.concatenate([answers.feature_NF("test"), answers.feature_NF(split)])[index_N]
        entropy_N = np.concatenate([predictive_entropy(answers.sample_SNK(name)) for name in ("test", split)])[index_N]
        looked_at = [k for k in LOOKED_AT if k <= len(wanted_N)]
        orders = {
            "forest": np.argsort(-compute_anomaly(feature_NF), kind="stable"),
            "rated": rate(feature_NF, wanted_N, max(looked_at, default=0)),
            "entropy": np.argsort(-entropy_N, kind="stable"),
        }
        for k in looked_at:
            found = {name: float(wanted_N[order[:k]].sum()) for name, order in orders.items()}
            found["chance"] = k * float(wanted_N.mean())
            rows += [
                make_row(split, f"anomaly/found_at_{k}_{name}", value, len(wanted_N), "sources")
                | {"direction": "none" if name == "chance" else "higher"}
                for name, value in found.items()
            ]
    return rows


def rate(feature_NF: np.ndarray, wanted_N: np.ndarray, n: int) -> np.ndarray:
    """Return the first ``n`` sources that an active search proposes when each batch is rated 1 (wanted) or 0."""
    search, order = AnomalySearch(feature_NF), []
    while len(order) < n:
        index = search.propose(BATCH)
        search.tell(index, wanted_N[index].astype(float))
        order += index.tolist()
    return np.array(order[:n], int)
