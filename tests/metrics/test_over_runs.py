"""Means over runs with intervals over sources, against hand-made cases."""

import numpy as np
import pytest

from equirgz.errors import InputError
from equirgz.metrics.calibration.brier import brier_score
from equirgz.metrics.calibration.ece import expected_calibration_error
from equirgz.metrics.compare.over_runs import compute_run_metrics, interval_over_sources
from equirgz.metrics.error import error_rate

RNG = np.random.default_rng(0)


def classifier(target_N, right, n_runs=3, seed=0):
    """Probabilities (R, N, 2) that are right for a share of the sources."""
    generator = np.random.default_rng(seed)
    shape = (n_runs, len(target_N))
    correct_RN = generator.random(shape) < right
    confidence_RN = generator.uniform(0.55, 0.95, shape)
    p_true_RN = np.where(correct_RN, confidence_RN, 1 - confidence_RN)
    return np.where(np.arange(2) == target_N[:, None], p_true_RN[..., None], 1 - p_true_RN[..., None])


TARGET = RNG.integers(0, 2, 120)
GOOD, POOR = classifier(TARGET, 0.95, seed=1), classifier(TARGET, 0.6, seed=2)


def test_values_are_means_over_runs_and_percentile_intervals_hold_them():
    rows = {row["metric"]: row for row in compute_run_metrics(GOOD, TARGET, n_draws=60)}
    for name, function in (("error/rate", error_rate), ("calibration/brier", brier_score),
                           ("calibration/ece", expected_calibration_error)):  # fmt: skip
        assert rows[name]["value"] == pytest.approx(np.mean([function(p, TARGET) for p in GOOD]))
    for name in ("error/rate", "calibration/brier", "nll/mean"):
        assert rows[name]["low"] <= rows[name]["value"] <= rows[name]["high"]
    assert rows["calibration/ece_perfect"]["low"] is None and rows["error/rate"]["n_runs"] == 3
    for name, row in rows.items():
        if name.startswith("calibration/") and row["low"] is not None and name != "calibration/ece_debiased":
            assert 0 <= row["low"] <= row["high"], name
    assert rows["calibration/mce"]["high"] <= 1
    debiased = rows["calibration/ece_debiased"]
    assert debiased["value"] is not None and debiased["low"] is debiased["high"] is None


def test_intervals_of_brier_resolution_hold_the_true_one():
    """Redrawing raises it as it raises reliability; percentiles would lie above the truth in half the cases."""
    levels = (np.arange(10) + 0.5) / 10
    truth = 2 * np.mean((levels - 0.5) ** 2)  # both classes; calibrated, levels equally frequent
    held = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        p = rng.choice(levels, 104)
        target = (rng.random(104) < p).astype(int)
        rows = compute_run_metrics(np.stack([1 - p, p], 1)[None], target, n_draws=60)
        row = next(row for row in rows if row["metric"] == "calibration/brier_resolution")
        held.append(row["low"] <= truth <= row["high"])
    assert sum(held) >= 22


def test_runs_of_a_source_are_redrawn_together():
    """Copies of one run say nothing new: the interval is that of the run alone."""
    one = interval_over_sources(error_rate, GOOD[:1], TARGET, n_draws=50)
    copies = interval_over_sources(error_rate, np.repeat(GOOD[:1], 4, 0), TARGET, n_draws=50)
    assert (one.low, one.high) == pytest.approx((copies.low, copies.high))


def test_too_few_sources_for_the_bins_is_no_number_and_bad_input_an_error():
    rows = {row["metric"]: row for row in compute_run_metrics(GOOD[:, :6], TARGET[:6], n_draws=20)}
    assert rows["calibration/ece_adaptive"]["value"] is None and rows["error/rate"]["value"] is not None
    with pytest.raises(InputError, match="shape"):
        compute_run_metrics(GOOD[0], TARGET)
    with pytest.raises(InputError):
        compute_run_metrics(np.where(GOOD > 0.9, np.nan, GOOD), TARGET)
