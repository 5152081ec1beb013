"""Can a classifier tell two data sets apart? (arXiv 1610.06545) Legend: N, M sources, F features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import mannwhitneyu
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from equirgz.errors import InputError, check_choice
from equirgz.metrics.distance.frechet import check_features
from equirgz.metrics.uncertainty.out_of_distribution import Auroc, auroc
from equirgz.seeding import derive_seed


@dataclass(frozen=True)
class TwoSampleTest:
    """AUROC of a held-out half (0.5: cannot be told) with its interval, and p of "both are one set".

    ``accuracy`` is the mean over both sets of the share of the held-out half that the rule's own threshold puts right
    (0.5 is chance, whatever the sizes of the sets).
    """

    auroc: Auroc
    p_value: float
    accuracy: float


def classifier_two_sample_test(
    first_NF: np.ndarray,
    second_MF: np.ndarray,
    *,
    strength: float = 1.0,
    seed: int = 0,
    rule: Literal["linear", "forest"] = "linear",
) -> TwoSampleTest:
    """Return how well a classifier, fitted on half of both sets, tells the other half apart.

    The p-value is that of the Mann-Whitney test on the held-out scores, one-sided, so it is right for sets
    of different size and makes no claim from the fitted half.
    Args: rule: a logistic regression, which sees only what a linear rule sees, or a forest of 300 trees, which sees
    joint shapes too. strength: inverse of the L2 penalty on standardised features (linear). NaN: refused.
    Raises: InputError for unequal widths, fewer than four sources in a set, or an unknown rule.
    """
    check_choice("two-sample rule", rule, ("linear", "forest"))
    a_NF, b_MF = check_features(first_NF, second_MF)
    if min(len(a_NF), len(b_MF)) < 4:
        raise InputError("two-sample test", expected="four sources in each set", got=(len(a_NF), len(b_MF)))
    generator = np.random.default_rng(derive_seed(seed, "two_sample"))
    halves = [np.array_split(x[generator.permutation(len(x))], 2) for x in (a_NF, b_MF)]
    fit_x = np.concatenate([halves[0][0], halves[1][0]])
    fit_y = np.repeat([0, 1], [len(halves[0][0]), len(halves[1][0])])
    scaler = StandardScaler().fit(fit_x)
    if rule == "linear":
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=2000)
        model.fit(scaler.transform(fit_x), fit_y)
        scores = [model.decision_function(scaler.transform(half[1])) for half in halves]
    else:
        model = RandomForestClassifier(
            300, min_samples_leaf=3, class_weight="balanced", random_state=int(generator.integers(2**31))
        ).fit(scaler.transform(fit_x), fit_y)
        scores = [model.predict_proba(scaler.transform(half[1]))[:, 1] - 0.5 for half in halves]
    score_a, score_b = scores
    right = float(((score_a <= 0).mean() + (score_b > 0).mean()) / 2)
    p_value = float(mannwhitneyu(score_b, score_a, alternative="greater").pvalue)
    return TwoSampleTest(auroc(score_a, score_b), p_value, right)
