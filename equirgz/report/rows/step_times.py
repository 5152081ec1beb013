"""How long one update of training took, from the timings of the runs."""

from __future__ import annotations

import pandas as pd

from equirgz.report.rows.results import Results


def step_times(results: Results, metric: str = "train/seconds") -> pd.DataFrame:
    """Return the measured time of one training step of each run, in ms (no row where the plan lacks its steps).

    Args: metric: train/seconds for time on the wall, train/cpu_seconds for that of the processor, all threads together.
    """
    configs = results.plan.get("configs", {})
    steps = {
        run["run_key"]: configs.get(run.get("cell_key"), {}).get("train", {}).get("steps")
        for run in results.plan.get("runs", [])
    }
    spent = results.timings[results.timings["metric"] == metric]
    value = 1000 * spent["value"] / spent["run_key"].map(steps).astype(float)
    return spent.assign(metric="train/step_ms", value=value).dropna(subset="value")


def busy_step_ms(results: Results) -> dict[str, float]:
    """Return the time of one step (ms) by run_key, of the processor where training ran on it, else on the wall.

    What other programs did on the machine is not in the time of the processor. Runs without timings are left out.
    """
    wall, busy = step_times(results), step_times(results, "train/cpu_seconds")
    if "device" in busy:
        busy = busy[busy["device"] == "cpu"]
    return {run: float(ms) for frame in (wall, busy) for run, ms in zip(frame["run_key"], frame["value"], strict=True)}
