"""What follows from probabilities: sets that promise to hold the class, and class shares of sets without labels."""

from __future__ import annotations

import contextlib

import numpy as np

from equirgz.grid.further.answers import Answers, Rows, make_row
from equirgz.grid.run.posthoc import to_logits
from equirgz.metrics.calibration.temperature_scaling import apply_temperature, fit_temperature
from equirgz.metrics.check import UndefinedMetricError
from equirgz.metrics.distance.class_share_shift import estimate_class_shares
from equirgz.metrics.uncertainty.conformal import fit_conformal, measure_sets, predict_sets

COVERAGE = 0.9


def conformal_rows(answers: Answers) -> Rows:
    """Return, per labelled test set, how often conformal sets for 90 % of the sources hold the class, their mean size,
    and the shares with one class and with none; fitted on the validation sources."""
    rule = fit_conformal(answers.probability_NK("val"), answers.label_N("val"), COVERAGE)
    rows = []
    for split in ("test", *answers.others):
        known_N = answers.label_N(split) >= 0
        if not known_N.any():
            continue
        found = measure_sets(
            predict_sets(rule, answers.probability_NK(split)[known_N]), answers.label_N(split)[known_N]
        )
        for name in ("coverage", "mean_size", "single", "empty"):
            rows.append(make_row(split, f"conformal/{name}", getattr(found, name), found.n))
    return rows


def share_rows(answers: Answers) -> Rows:
    """Return, per test set and class, its share by label, by counting answers, and as
    :func:`estimate_class_shares` has it from calibrated probabilities; the estimate sees no label of the set.

    Probabilities are scaled by the temperature of the validation sources, where these fix one.
    """
    names, train_N = answers.run.labelled.class_names, answers.label_N("train")
    share_K = np.bincount(train_N, minlength=len(names)) / len(train_N)
    temperature = 1.0
    with contextlib.suppress(UndefinedMetricError):
        temperature = fit_temperature(to_logits(answers.probability_NK("val")), answers.label_N("val")).value
    rows = []
    for split in ("test", *answers.others):
        p_NK, label_N = apply_temperature(to_logits(answers.probability_NK(split)), temperature), answers.label_N(split)
        estimated_K = estimate_class_shares(p_NK, share_K)
        counted_K = np.bincount(p_NK.argmax(1), minlength=len(names)) / len(p_NK)
        known_N = label_N[label_N >= 0]
        for k, name in enumerate(names):
            values = {"estimated": estimated_K[k], "counted": counted_K[k]}
            if len(known_N):
                values["labelled"] = float((known_N == k).mean())
            rows += [make_row(split, f"class_share/{how}_{name}", value, len(p_NK)) for how, value in values.items()]
    return rows
