"""How each source's answer changes as it turns: a row per source and run, and a line per network."""

from __future__ import annotations

import numpy as np

from benchmarks.evaluation.tables import Evaluation, Rows, over_runs
from equirgz.evaluate.turned_samples import source_rows

SOURCES = {
    "rotation/always_right": ("always right (%)", 1), "rotation/sometimes_wrong": ("wrong at some angles (%)", 1),
    "rotation/always_wrong": ("always wrong (%)", 1), "rotation/confidence_std": ("std of confidence", 4),
    "rotation/entropy_std": ("std of entropy (nat)", 4), "rotation/overlap_std": ("std of overlap", 4),
}  # fmt: skip


def rotation_source_rows(evaluation: Evaluation) -> Rows:
    """Return the `source_rows` of every network and run on confident test sources."""
    return [
        {"network": name, "run": a.run, **row}
        for name, answers in evaluation
        for a in answers
        for row in source_rows(a.arrays["rotation"], a.arrays["label/test"], a.arrays["id/test"])
    ]


def rotation_source_summary(rows: Rows) -> Rows:
    """Return, over runs, the shares of sources right or wrong at all angles, and the median spreads over angles."""
    found = []
    for name in dict.fromkeys(row["network"] for row in rows):
        mine = [row for row in rows if row["network"] == name]
        of_runs = []
        for run in dict.fromkeys(row["run"] for row in mine):
            of_run = [row for row in mine if row["run"] == run]
            error_N = np.array([row["error_share"] for row in of_run])
            kinds = {"always_right": error_N == 0, "always_wrong": error_N == 1}
            kinds["sometimes_wrong"] = ~(kinds["always_right"] | kinds["always_wrong"])
            values = {kind: (100 * float(mask_N.mean()), "%") for kind, mask_N in kinds.items()}
            for number, unit in (("confidence", "1"), ("entropy", "nat"), ("overlap", "1")):
                values[f"{number}_std"] = (float(np.median([row[f"{number}_std"] for row in of_run])), unit)
            of_runs.append([
                {"metric": f"rotation/{key}", "value": value, "unit": unit, "direction": "none", "n": len(of_run)}
                for key, (value, unit) in values.items()
            ])  # fmt: skip
        found += over_runs(of_runs, network=name)
    return found


def say_sources(rows: Rows) -> str:
    """Say how many sources are wrong at some angles alone, and at all."""
    told = {
        kind: ", ".join(f"{r['network']} {r['value']:.1f} %" for r in rows if r["metric"] == f"rotation/{kind}")
        for kind in ("sometimes_wrong", "always_wrong")
    }
    return (
        f"Wrong at some angles and right at others are {told['sometimes_wrong']} of the sources; wrong at every "
        f"angle are {told['always_wrong']}."
    )
