"""The table behind a reliability diagram. Legend: N sources, K classes, M bins."""

from __future__ import annotations

from typing import Any

import numpy as np

from equirgz.errors import InputError
from equirgz.metrics.calibration.binning import Scheme, make_bins, top_label
from equirgz.metrics.check import check_predictions
from equirgz.metrics.interval import wilson_interval


def reliability_table(
    probability_NK: np.ndarray,
    target_N: np.ndarray,
    n_bins: int = 10,
    scheme: Scheme = "width",
    *,
    class_index: int | None = None,
    source_id_N: np.ndarray | None = None,
    level: float = 0.95,
) -> list[dict[str, Any]]:
    """Return a line per bin that holds a source: bin, n, n_sources, stated, observed, low, high, share.

    stated: mean probability of the predicted class (or of ``class_index``). observed: share of sources
    for which it came true, low and high its Wilson interval. Where several predictions of one source
    are pooled (seeds), ``source_id_N`` tells so, and the interval counts different sources only.
    NaN: refused. Raises: InputError for unusable input or no such class.
    """
    p_NK, target_N = check_predictions(probability_NK, target_N)
    if class_index is None:
        stated_N, true_N = top_label(p_NK, target_N)
    elif 0 <= class_index < p_NK.shape[1]:
        stated_N, true_N = p_NK[:, class_index], (target_N == class_index).astype(np.float64)
    else:
        raise InputError("class_index", expected=f"0 to {p_NK.shape[1] - 1}", got=class_index)
    source_N = np.arange(len(target_N)) if source_id_N is None else np.asarray(source_id_N)
    if source_N.shape != target_N.shape:
        raise InputError("source_id_N", expected=f"shape {target_N.shape}", got=f"shape {source_N.shape}")
    bin_N = make_bins(stated_N, n_bins, scheme)
    lines = []
    for m in np.unique(bin_N):
        inside = bin_N == m
        observed, n_sources = float(true_N[inside].mean()), len(np.unique(source_N[inside]))
        low, high = wilson_interval(observed * n_sources, n_sources, level)
        lines.append(
            {
                "bin": int(m),
                "n": int(inside.sum()),
                "n_sources": n_sources,
                "stated": float(stated_N[inside].mean()),
                "observed": observed,
                "low": low,
                "high": high,
                "share": float(inside.mean()),
            }
        )
    return lines
