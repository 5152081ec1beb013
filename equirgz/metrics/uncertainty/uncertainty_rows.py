"""All numbers of predictive samples, of selective prediction and of out-of-distribution scores, as rows.

Legend: S samples, N sources, M sources of another kind, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from equirgz.errors import require
from equirgz.metrics.calibration.uce import (
    classwise_uncertainty_calibration_error,
    uncertainty_calibration_error,
)
from equirgz.metrics.check import UndefinedMetricError, check_predictions, check_target
from equirgz.metrics.uncertainty.out_of_distribution import auroc, false_positive_rate
from equirgz.metrics.uncertainty.overlap_index import overlap_index
from equirgz.metrics.uncertainty.predictive_samples import (
    check_samples,
    mutual_information,
    posterior_error,
    predictive_entropy,
)
from equirgz.metrics.uncertainty.risk_coverage import risk_coverage

PUBLISHED_MASS = 0.64  # central share of samples in arXiv 2201.01203


def compute_uncertainty_metrics(probability_SNK: np.ndarray, target_N: np.ndarray) -> list[dict[str, Any]]:
    """Return rows (metric, value, unit, direction, n) of the uncertainty of predictive samples.

    uncertainty/predictive_entropy, mutual_information (nat), overlap and overlap_published: means over
    sources. uncertainty/uce_entropy and uce_mutual_information (%): calibration of the quantity divided by ln K
    against the share of wrong samples, and _classwise: mean over classes; for two classes
    uce_published: entropy against the error of the central 64 % of samples. A calibration error that is not
    defined (fewer sources than bins, one class only) has value None.
    NaN: refused. Raises: InputError for unusable samples or labels.
    """
    p_SNK = check_samples(probability_SNK)
    n, k = p_SNK.shape[1:]
    target_N = check_target(target_N, n, k)
    entropy_N, information_N = predictive_entropy(p_SNK), mutual_information(p_SNK)
    wrong_N = posterior_error(p_SNK, target_N)
    values = {
        ("uncertainty/predictive_entropy", "nat", "none"): entropy_N.mean(),
        ("uncertainty/mutual_information", "nat", "none"): information_N.mean(),
        ("uncertainty/overlap", "1", "none"): overlap_index(p_SNK).mean(),
        ("uncertainty/overlap_published", "1", "none"): overlap_index(p_SNK, edge_corrected=False).mean(),
    }
    for name, u_N in (("entropy", entropy_N), ("mutual_information", information_N)):
        u_N = np.clip(u_N / math.log(k), 0, 1)
        values[f"uncertainty/uce_{name}", "%", "lower"] = _defined(uncertainty_calibration_error, u_N, wrong_N, k)
        classwise = _defined(classwise_uncertainty_calibration_error, u_N, wrong_N, target_N, k)
        values[f"uncertainty/uce_{name}_classwise", "%", "lower"] = classwise
    if k == 2:
        central_N = posterior_error(p_SNK, target_N, PUBLISHED_MASS)
        published = _defined(uncertainty_calibration_error, np.clip(entropy_N / math.log(2), 0, 1), central_N)
        values["uncertainty/uce_published", "%", "lower"] = published
    return [_row(name, value, unit, direction, n) for (name, unit, direction), value in values.items()]


def compute_selective_metrics(probability_NK: np.ndarray, target_N: np.ndarray) -> list[dict[str, Any]]:
    """Return rows selective/aurc, selective/excess_aurc (1) and selective/error_at_80 (%): error of the surest 80 %.

    NaN: refused. Raises: InputError for unusable predictions.
    """
    p_NK, target_N = check_predictions(probability_NK, target_N)
    n = len(target_N)
    curve = risk_coverage(p_NK.max(axis=1), p_NK.argmax(axis=1) != target_N)
    at_80 = 100 * curve.risk_N[max(0, math.ceil(0.8 * n - 1e-9) - 1)]
    return [
        _row("selective/aurc", curve.area, "1", "lower", n),
        _row("selective/excess_aurc", curve.excess_area, "1", "lower", n),
        _row("selective/error_at_80", at_80, "%", "lower", n),
    ]


def compute_ood_metrics(score_inside_N: np.ndarray, score_outside: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return rows of how well a score (energy, entropy: high outside) tells other sources from those of the test set.

    Per set: ood/auroc with low and high (its 95 % interval), and ood/false_positive_rate at 95 % recall (%); each
    row names its set in ``outside`` and counts its sources in ``n_outside``.
    NaN: refused. Raises: InputError for an empty set or none at all.
    """
    require(score_outside, "score_outside", expected="at least one set of other sources", got="none")
    rows = []
    for name, score_M in score_outside.items():
        found = auroc(score_inside_N, score_M)
        flagged = 100 * false_positive_rate(score_inside_N, score_M)
        common = {"outside": name, "n_outside": found.n_outside}
        rows.append(
            _row("ood/auroc", found.value, "1", "higher", found.n_inside)
            | common
            | {"low": found.low, "high": found.high}
        )
        rows.append(_row("ood/false_positive_rate", flagged, "%", "lower", found.n_inside) | common)
    return rows


def _defined(function: Callable[..., float], *arguments: Any) -> float | None:
    """Return ``function(*arguments)``, None where it is not defined."""
    try:
        return function(*arguments)
    except UndefinedMetricError:
        return None


def _row(metric: str, value: float | None, unit: str, direction: str, n: int) -> dict[str, Any]:
    number = None if value is None else float(value)
    return {"metric": metric, "value": number, "unit": unit, "direction": direction, "n": n}
