"""Every pair of classifiers compared on the same sources and seeds, corrected for how many pairs there are.

Legend: R runs (seeds), N sources, K classes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from equirgz.errors import InputError
from equirgz.metrics.calibration.brier import brier_score
from equirgz.metrics.compare.crossed import crossed_test
from equirgz.metrics.compare.over_runs import check_runs
from equirgz.metrics.compare.paired import adjust_holm
from equirgz.metrics.compare.source_tests import mcnemar_test, paired_bootstrap, required_sources


def compare_pairs(
    probability: Mapping[str, np.ndarray], target_N: np.ndarray, *, n_draws: int = 500, seed: int = 0
) -> list[dict[str, Any]]:
    """Return a row per pair (first, second) of classifiers given as name -> probability_RNK.

    difference, half_width, p, effect_size: error of the first minus that of the second (%), tested over
    seeds and sources at once (`crossed_test`). mcnemar_p, only_first, only_second: exact McNemar test of the
    mean predictions over seeds. brier_difference with brier_low and brier_high: paired bootstrap of the Brier
    score of those means. disagreement: % of (seed, source) that one gets wrong and the other right.
    p_holm, mcnemar_p_holm: after Holm over the pairs. distinct: p_holm < 0.05.
    NaN: refused. Raises: InputError for fewer than two classifiers, or runs or sources that disagree.
    """
    checked = {name: check_runs(p_RNK, target_N) for name, p_RNK in probability.items()}
    shapes = {p_RNK.shape for p_RNK, _ in checked.values()}
    if len(checked) < 2 or len(shapes) != 1:
        raise InputError("compare_pairs", expected="two or more classifiers of one shape", got=sorted(shapes))
    rows = []
    for (first, (a_RNK, y_N)), (second, (b_RNK, _)) in itertools.combinations(checked.items(), 2):
        wrong_a, wrong_b = a_RNK.argmax(2) != y_N, b_RNK.argmax(2) != y_N
        crossed = crossed_test(100.0 * (wrong_a.astype(float) - wrong_b))
        mean_a, mean_b = a_RNK.mean(0), b_RNK.mean(0)
        mcnemar = mcnemar_test(mean_a.argmax(1) != y_N, mean_b.argmax(1) != y_N)
        brier = paired_bootstrap(brier_score, mean_a, mean_b, y_N, n_draws=n_draws, seed=seed)
        rows.append({
            "first": first, "second": second, "difference": crossed.mean, "half_width": crossed.half_width,
            "p": crossed.p_value, "effect_size": crossed.effect_size,
            "mcnemar_p": mcnemar.p_value, "only_first": mcnemar.only_first, "only_second": mcnemar.only_second,
            "brier_difference": brier.value, "brier_low": brier.low, "brier_high": brier.high,
            "disagreement": 100.0 * float((wrong_a != wrong_b).mean()), "n": len(y_N), "n_runs": len(a_RNK),
        })  # fmt: skip
    for column in ("p", "mcnemar_p"):
        adjusted = adjust_holm([row[column] for row in rows])
        for row, value in zip(rows, adjusted, strict=True):
            row[f"{column}_holm"] = float(value)
    for row in rows:
        row["distinct"] = bool(row["p_holm"] < 0.05)
    return rows


def needed_sources(
    pairs: Sequence[Mapping[str, Any]], differences_percent: Sequence[float] = (1.0, 2.0, 3.0, 5.0)
) -> list[dict[str, Any]]:
    """Return, per row of :func:`compare_pairs`, how many test sources each difference of error would need.

    Columns first, second, disagreement, n, and ``needed_D`` for each difference D (%): sources for McNemar's
    test at power 0.8 and level 0.05, at the measured disagreement (at least D); ``needed_measured`` for the
    measured difference (NaN where it is 0).
    """
    rows = []
    for pair in pairs:
        row = {key: pair[key] for key in ("first", "second", "difference", "disagreement", "n")}
        for difference in differences_percent:
            disagreement = max(difference, pair["disagreement"])
            row[f"needed_{difference:g}"] = required_sources(difference, disagreement)
        size = abs(pair["difference"])
        disagreement = max(size, pair["disagreement"])
        row["needed_measured"] = required_sources(size, disagreement) if size > 1e-9 else math.nan
        rows.append(row)
    return rows
