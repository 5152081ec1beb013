"""The shift between data sets as one network sees it. Legend: N sources, F features."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.evaluation.runs import Answers
from equirgz.metrics.prior import class_prior_shift
from equirgz.metrics.shift import compute_shift
from equirgz.seeding import derive_seed

PAIRS = {
    "confident, uncertain": (("test",), ("test_uncertain",)),
    "MiraBest, RadioGalaxyDataset": (("test", "test_uncertain"), ("radio_galaxy_dataset",)),
    "FIRST, NVSS": (("frdeep_first",), ("frdeep_nvss",)),
}
CONTROL = "two halves of MiraBest"
MAX_SOURCES = 150


def shift_rows(answer: Answers, n_draws: int = 1500) -> tuple[dict[str, list[dict[str, Any]]], list[dict[str, Any]]]:
    """Return (pair -> rows of `compute_shift`, rows of the class shares) for the features of one trained network.

    Beside the pairs stands a control: the test sources of MiraBest dealt into two halves. With fewer draws, Holm over
    the table cannot leave a p below 0.05.
    """
    pairs = {name: [_join(answer, parts) for parts in both] for name, both in PAIRS.items()}
    feature_NF, label_N = _join(answer, PAIRS["MiraBest, RadioGalaxyDataset"][0])
    halves = np.array_split(np.random.default_rng(derive_seed(0, "halves")).permutation(len(label_N)), 2)
    pairs[CONTROL] = [(feature_NF[half], label_N[half]) for half in halves]
    distances, shares = {}, []
    for name, ((a_NF, a_N), (b_NF, b_N)) in pairs.items():
        distances[name] = compute_shift(a_NF, b_NF, n_draws=n_draws, max_sources=MAX_SOURCES)
        counts = [np.bincount(label[label >= 0], minlength=2) for label in (a_N, b_N)]
        found = class_prior_shift(*counts)
        shares.append({
            "pair": name, "metric": "shift/class_shares", "value": found.distance, "p_value": found.p_value,
            "first_FRI": counts[0][0], "first_FRII": counts[0][1], "second_FRI": counts[1][0],
            "second_FRII": counts[1][1], "unit": "1", "direction": "lower",
        })  # fmt: skip
    return distances, shares


def _join(answer: Answers, parts: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.concatenate([answer.arrays[f"{kind}/{part}"] for part in parts]) for kind in ("feature", "label"))
