"""One sentence per table, from its numbers alone."""

from __future__ import annotations

import numpy as np

from benchmarks.evaluation.shifts import CONTROL
from benchmarks.evaluation.tables import TESTS, Rows
from equirgz.report.tables.pivot import show_number, show_p

SCORES = {
    "ood/auroc_energy": "energy", "ood/auroc_entropy": "entropy", "ood/auroc_mutual_information": "MI",
    "ood/auroc_distance": "5th neighbour",
}  # fmt: skip


def _find(rows: Rows, metric: str, **place: str) -> Rows:
    return [row for row in rows if row["metric"] == metric and all(row[k] == v for k, v in place.items())]


def _list(rows: Rows, digits: int, unit: str = "") -> str:
    return ", ".join(f"{row['network']} {show_number(row['value'], digits)}{unit}" for row in rows)


def say_calibration(rows: Rows) -> str:
    """Say error, and how many networks show more ECE than a calibrated model would."""
    place = {"test set": "confident", "scaling": "as trained"}
    ece, perfect = (_find(rows, f"calibration/{m}", **place) for m in ("ece", "ece_perfect"))
    above = [e["network"] for e, p in zip(ece, perfect, strict=True) if e["low"] > p["value"]]
    told = f"of these the intervals of {', '.join(above)} lie above it" if above else "none has an interval above it"
    after = _find(rows, "calibration/ece", **{**place, "scaling": "temperature"})
    return (
        f"On confident sources the errors are {_list(_find(rows, 'error/rate', **place), 1, ' %')}; the ECE are "
        f"{_list(ece, 3)} where a calibrated model would show {_list(perfect, 3)}, and {told}; after "
        f"temperature scaling on validation sources the ECE are {_list(after, 3)}."
    )


def say_parts(rows: Rows) -> str:
    """Say which part of the Brier score grows from confident to uncertain sources."""
    change = []
    for part in ("reliability", "resolution"):
        metric = f"calibration/brier_{part}"
        found = [_find(rows, metric, **{"test set": test, "scaling": "as trained"}) for test in TESTS]
        means = [np.mean([row["value"] for row in of_test]) for of_test in found]
        change.append(f"mean {part} goes from {show_number(float(means[0]))} to {show_number(float(means[1]))}")
    better = "reliability: lower, resolution: higher is better"
    return f"From confident to uncertain sources {' and '.join(change)} ({better})."


def say_pairwise(rows: Rows, metric: str, words: str, unit: str) -> str:
    """Say a number on both test sets."""
    told = [f"on {test} sources {_list(_find(rows, metric, **{'test set': test}), 3, f' {unit}')}" for test in TESTS]
    return f"The mean {words} is {'; '.join(told)}."


def say_outside(rows: Rows) -> str:
    """Say the best score for each kind of other sources."""
    told, rows = [], [row for row in rows if row["metric"] in SCORES]
    for outside in dict.fromkeys(row["outside"] for row in rows):
        best = max((row for row in rows if row["outside"] == outside), key=lambda row: row["value"])
        words = SCORES[best["metric"]]
        chance = best["low"] <= 0.5
        told.append(f"{outside}: {show_number(best['value'], 2)} ({best['network']}, {words}"
                    f"{', interval holds 0.5' if chance else ''})")  # fmt: skip
    return f"The highest AUROC of each kind, picked on these very sources and so optimistic: {'; '.join(told)}."


def say_conformal(rows: Rows) -> str:
    """Say the coverage on both test sets."""
    told = []
    for test in TESTS:
        found = _find(rows, "conformal/coverage", **{"test set": test})
        short = [row["network"] for row in found if row["high"] < 0.9]
        told.append(f"{test} sources: {_list(found, 2)} ({len(short)} of {len(found)} with an interval below 0.90)")
    return f"Sets promised to hold 90 % hold, of {'; of '.join(told)}."


def say_rotation(rows: Rows) -> str:
    """Say how much answers change as the sources turn."""
    flips, spread = _find(rows, "rotation/flip_rate_mean"), _find(rows, "rotation/probability_spread_mean")
    error = _find(rows, "rotation/error_range")
    return (
        f"As the sources turn, {_list(flips, 1, ' %')} of them change class on average over angles, the error ranges "
        f"over {_list(error, 1, ' %')}, and the probability of the true class spreads by {_list(spread, 3)}."
    )


def say_equivariance(rows: Rows) -> str:
    """Say the error of the features at 90 and 45 degrees."""
    told = []
    for angle in (90.0, 45.0):
        found = [row for row in rows if row["what"] == "features" and row["angle_deg"] == angle]
        told.append(f"at {angle:g}° " + ", ".join(f"{row['network']} {row['value']:.0e}" for row in found))
    gates = [row for row in rows if row["what"].startswith("attention") and row["angle_deg"] == 90.0]
    if gates:
        told.append(f"attention maps at 90° at most {max(row['value'] for row in gates):.0e}")
    return f"Relative change of the features: {'; '.join(told)}."


def say_shift(distances: dict[str, Rows]) -> str:
    """Say, per pair, how far the Frechet distance is above chance."""
    told = []
    for name, rows in distances.items():
        frechet = next(row for row in rows if row["metric"] == "shift/frechet")
        share = 100 * frechet["noise_mean"] / frechet["value"]
        p = show_p(frechet["p_value"])
        told.append(f"{name} {show_number(frechet['value'], 2)}, of which chance alone gives {share:.0f} % (p {p})")
    return f'Frechet distances: {"; ".join(told)}. The control is "{CONTROL}".'


def say_shares(rows: Rows) -> str:
    """Say which pairs have different class shares."""
    apart = [row["pair"] for row in rows if row["p_value"] < 0.05]
    return f"Class shares differ (p < 0.05, not corrected) between {'; '.join(apart) if apart else 'no pair'}."


def say_estimates(rows: Rows) -> str:
    """Say the mean absolute error of both ways to tell the class shares of a set."""
    of = {key: _find(rows, f"prior/{key}_share") for key in ("true", "counted", "estimated")}
    told = {
        key: np.mean([abs(row["value"] - true["value"]) for row, true in zip(of[key], of["true"], strict=True)])
        for key in ("counted", "estimated")
    }
    return (
        f"From the true share of FRII the counted answers are {told['counted']:.2f} away on average over sets and "
        f"networks, the estimate that corrects for the training shares {told['estimated']:.2f}."
    )


def say_representation(rows: Rows) -> str:
    """Say precision at ten and the size in the features."""
    chance = _find(rows, "retrieval/precision_at_10_chance")[0]["value"]
    precision, angle = _find(rows, "retrieval/precision_at_10"), _find(rows, "representation/size_r2")
    size = _find(rows, "representation/physical_size_r2")
    return (
        f"Of the ten nearest training sources this share has the class of the test source: {_list(precision, 2)} "
        f"(chance {chance:.2f}); the features explain {_list(angle, 2)} of the variance of log angular size, and "
        f"{_list(size, 2)} of that of log physical size."
    )


def say_significance(rows: Rows) -> str:
    """Say which pairs are distinguishable."""
    apart = [f"{r['first']} and {r['second']} ({r['test set']})" for r in rows if r["distinct"]]
    told = f": {'; '.join(apart)}." if apart else "."
    return f"Of {len(rows)} pairs of networks the error tells apart {len(apart)} after Holm{told}"


def say_needed(rows: Rows) -> str:
    """Say how many sources a difference of 2 % would need."""
    low, high = (extreme(row["needed_2"] for row in rows) for extreme in (min, max))
    return (
        f"To see a difference of 2 % these pairs need {low} to {high} test sources; there are "
        f"{' and '.join(str(n) for n in sorted({row['n'] for row in rows}, reverse=True))}."
    )
