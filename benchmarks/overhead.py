"""What the harness costs: wall time of a grid of short runs over the training that it holds.

    python -m benchmarks.overhead [--runs 200] [--jobs 2] [--steps 800] [--out results/overhead]

Runs ``--runs`` trainings of a small plain network on the simulator through the engine, and compares the wall time
of the whole grid (planning and checking, starting the workers, running, collecting) times ``--jobs`` with the sum
of ``train/seconds``. Loading and evaluation are no training and no overhead: they are shown apart. Writes
overhead.csv and overhead.md. It says something only on a quiet machine with ``--jobs`` free cores.
"""

from __future__ import annotations

import argparse
import csv
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from equirgz.grid.engine.engine_config import make_engine_config
from equirgz.grid.plan.grid import Grid, make_grid
from equirgz.grid.plan.preflight import check_grid
from equirgz.grid.results.collect import collect
from equirgz.grid.runner import run_grid
from equirgz.provenance import code_version
from equirgz.records import write_bytes_atomic

PARTS = {"train/seconds": "training", "load/seconds": "loading", "evaluate/seconds": "evaluation"}


def make_short_grid(n_runs: int, steps: int) -> Grid:
    """Return ``n_runs`` runs of one cell that differ in their seed."""
    return make_grid(
        {
            "name": "overhead",
            "question": "What share of the wall time is neither training nor evaluation?",
            "base": {
                "data": {"name": "synthetic_fr", "image_size": 33, "params": {"n_train": 120, "n_test": 60}},
                "backbone": {"name": "lenet"},
                "train": {"steps": steps, "batch_size": 32},
                "evaluation": {"rotation_angles": 4},
            },
            "axes": {"seed": list(range(n_runs))},
        }
    )


def measure(grid: Grid, out: Path, jobs: int, clock: Callable[[], float] = time.perf_counter) -> dict[str, float]:
    """Run ``grid`` into the empty folder ``out``; return seconds, their shares and counts (see :func:`account`)."""
    start = clock()
    engine = make_engine_config("local", jobs=jobs)
    summary = run_grid(grid, out, engine=engine, check=lambda: check_grid(grid, None))
    collect(out)
    wall = clock() - start
    if not summary.complete:
        raise SystemExit(f"{summary.failed} of {summary.planned} runs failed; see `equirgz bench status {out}`")
    timings = pd.read_csv(out / "timings.csv")
    spent = timings.groupby("metric")["value"].sum()
    return account(wall, jobs, summary.planned, {name: float(spent[metric]) for metric, name in PARTS.items()})


def account(wall: float, jobs: int, n_runs: int, spent: dict[str, float]) -> dict[str, float]:
    """Return the numbers of the table.

    overhead = jobs x wall - (training + loading + evaluation), in core seconds: what no run accounts for; its share
    is of the training. ``wall_over_training`` is wall / (training / jobs), with loading and evaluation in it.
    """
    overhead = jobs * wall - sum(spent.values())
    return {
        "runs": n_runs,
        "jobs": jobs,
        "wall_seconds": wall,
        **{f"{name}_seconds": value for name, value in spent.items()},
        "overhead_seconds": overhead,
        "overhead_per_run_seconds": overhead / n_runs,
        "overhead_percent_of_training": 100 * overhead / spent["training"],
        "wall_over_training": wall * jobs / spent["training"],
    }


def write_table(numbers: dict[str, float], steps: int, out: Path) -> str:
    """Write overhead.csv and overhead.md into ``out``; return the latter."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["quantity", "value"])
    writer.writerows([name, f"{value:.6g}"] for name, value in numbers.items())
    lines = ["| quantity | value |", "| :-- | --: |", *(f"| {k} | {v:.4g} |" for k, v in numbers.items())]
    what = f"{numbers['runs']:.0f} runs of {steps} steps (LeNet, simulator, 33 px), local engine."
    note = "Core seconds; overhead: jobs x wall less training, loading and evaluation, with start and end of the grid."
    page = "\n".join([*lines, "", f"{what} {note} equirgz {code_version()}.", ""])
    write_bytes_atomic(out / "overhead.csv", text.getvalue().encode())
    write_bytes_atomic(out / "overhead.md", page.encode())
    return page


def main(arguments: list[str] | None = None) -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--out", type=Path, default=Path("results/overhead"))
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        numbers = measure(make_short_grid(options.runs, options.steps), Path(folder), options.jobs)
    print(write_table(numbers, options.steps, options.out))


if __name__ == "__main__":
    main()
