"""Rows of predictive samples, whoever drew them: a posterior, dropout, or the members of an ensemble; no torch.

Legend: S predictive samples, N sources, K classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from equirgz.metrics.uncertainty.out_of_distribution import auroc
from equirgz.metrics.uncertainty.predictive_samples import mutual_information, predictive_entropy
from equirgz.metrics.uncertainty.uncertainty_rows import (
    compute_selective_metrics,
    compute_uncertainty_metrics,
)


def sample_rows(samples: dict[str, np.ndarray], targets: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return the rows of predictive samples (S, N, K) of every split, over its labelled sources.

    Uncertainty and selective metrics per split; ``ood/auroc_entropy`` and ``ood/auroc_mutual_information`` of a
    split: how well that score tells ALL its sources from those of ``test`` (0.5: not at all; n counts the split's).
    """
    rows = []
    for split, p_SNK in samples.items():
        known_N = targets[split] >= 0
        if known_N.any():
            found = compute_uncertainty_metrics(p_SNK[:, known_N], targets[split][known_N])
            found += compute_selective_metrics(p_SNK.mean(0)[known_N], targets[split][known_N])
            rows += [{"split": split, **row} for row in found]
        if split.startswith("test") and split != "test" and "test" in samples:
            for name, score in (("entropy", predictive_entropy), ("mutual_information", mutual_information)):
                value = auroc(score(samples["test"]), score(p_SNK)).value
                row = {"split": split, "metric": f"ood/auroc_{name}", "value": value, "unit": "1"}
                rows.append({**row, "direction": "higher", "n": p_SNK.shape[1]})
    return rows
