"""The shift between data sets as one network sees it. Legend: N sources, F features."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.evaluation.runs import Answers
from benchmarks.evaluation.tables import Evaluation, Rows, mean_log_probability, over_runs
from equirgz.metrics.calibration.temperature_scaling import apply_temperature
from equirgz.metrics.distance.class_share_shift import class_prior_shift, estimate_class_shares
from equirgz.metrics.distance.feature_shift import compute_shift
from equirgz.seeding import derive_seed

PAIRS = {
    "confident, uncertain": (("test",), ("test_uncertain",)),
    "MiraBest, RadioGalaxyDataset": (("test", "test_uncertain"), ("radio_galaxy_dataset",)),
    "FIRST, NVSS": (("frdeep_first",), ("frdeep_nvss",)),
}
SETS = {"confident": "test", "uncertain": "test_uncertain", "RadioGalaxyDataset": "radio_galaxy_dataset",
        "FR-DEEP, FIRST": "frdeep_first", "FR-DEEP, NVSS": "frdeep_nvss"}  # fmt: skip
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


def share_rows(evaluation: Evaluation) -> Rows:
    """Return, over runs, the share of FRII per set and network: by label, by counting answers, and as estimated.

    The estimate is that of `equirgz.metrics.distance.class_share_shift.estimate_class_shares` from probabilities
    after temperature scaling and the class shares of the training sources; it sees no label of the set.
    """
    rows = []
    for words, part in SETS.items():
        for name, answers in evaluation:
            of_runs = []
            for a in answers:
                label_N, train_N = a.arrays[f"label/{part}"], a.arrays["label/train"]
                t = evaluation.temperature[a.network, a.run]
                p_NK = apply_temperature(mean_log_probability(a, part), t)
                estimated_K = estimate_class_shares(p_NK, np.bincount(train_N, minlength=2) / len(train_N))
                values = {"true": (label_N == 1).mean(), "counted": p_NK.argmax(1).mean(), "estimated": estimated_K[1]}
                of_runs.append([
                    {"metric": f"prior/{key}_share", "value": float(value), "unit": "1", "direction": "none",
                     "n": len(label_N)} for key, value in values.items()
                ])  # fmt: skip
            rows += over_runs(of_runs, as_range=True, **{"data": words, "network": name})
    return rows


def _join(answer: Answers, parts: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.concatenate([answer.arrays[f"{kind}/{part}"] for part in parts]) for kind in ("feature", "label"))
