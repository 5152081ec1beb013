"""Measure on a GPU: parity in float32, TF32 and bf16, steps against other engines, mirabest_d4 once.

    benchmarks/gpu.sh [--data-dir DATA] [--out results/gpu] [--device cuda]
    benchmarks/gpu.sh --device cpu --smoke --out FOLDER           a rehearsal of seconds, without a GPU

Uses no network. What cannot be measured is left out and named. Writes parity.csv, steps.csv, run.json and gpu.md;
exit status 1 where an error is over its limit or the run of the grid failed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import pandas as pd
import torch

from benchmarks.gpu.measure import ROOT, measure_parity, measure_steps, run_mirabest, usable_engines
from equirgz.provenance import collect_provenance

LIMIT_S = 450.0  # of all; stages that would begin later are left out
CELLS = {"C4": 256, "D4": 256, "D8": 128, "D16": 64}  # group: images in a batch, at 65 pixels
COMMAND = "benchmarks/gpu.sh"


def measure(options: argparse.Namespace) -> tuple[list[dict], list[dict], dict, list[str]]:
    """Return the rows of parity, of steps, the run of the grid, and notes on what was left out."""
    notes: list[str] = ["a rehearsal: sizes and times say nothing"] if options.smoke else []
    start = time.perf_counter()

    def left() -> float:
        return LIMIT_S - (time.perf_counter() - start)

    groups = ["C4", "D4"] if options.smoke else ["C4", "C8", "D4", "D8", "D16"]
    parity = measure_parity(options.device, groups, 33 if options.smoke else 65)
    run = run_mirabest(options.device, options.data_dir, options.smoke, max(left() - 120.0, 60.0), notes)
    engines, steps = usable_engines(notes), []
    for group, batch in {"C4": 2}.items() if options.smoke else CELLS.items():
        if left() < 60.0:
            notes.append(f"steps of {group} were left out: the time is over")
            continue
        size, seconds = (33, 0.0) if options.smoke else (65, 4.0)
        steps += measure_steps(options.device, engines, group, size, batch, seconds, notes)
    return parity, steps, run, notes


def write(out: Path, parity: list[dict], steps: list[dict], run: dict, notes: list[str]) -> str:
    """Write the files of the folder and return the page."""
    out.mkdir(parents=True, exist_ok=True)
    tables = {"parity": pd.DataFrame(parity), "steps": pd.DataFrame(steps)}
    for name, table in tables.items():
        table.to_csv(out / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")
    provenance = collect_provenance()
    record = {"mirabest_d4": run, "notes": notes, "environment": provenance}
    (out / "run.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    lines = [f"# Measured on: {provenance['device'].get('device', 'unknown')}", "", f"Made by `{COMMAND}`.", ""]
    lines += [f"- {note}" for note in notes]
    if run:
        error = f"{run['test_error_percent']:.2f} % of {run['n_test']} test sources"
        lines += ["", f"mirabest_d4, D4 once: {run['wall_s']:.1f} s from start to tables, error {error}."]
    for name, table in tables.items():
        rows = [[f"{v:.3g}" if isinstance(v, float) else str(v) for v in row] for row in table.values.tolist()]
        lines += ["", f"## {name}", "", _line(table.columns), _line([":--"] * len(table.columns)), *map(_line, rows)]
    page = "\n".join(lines) + "\n"
    (out / "gpu.md").write_text(page)
    return page


def _line(cells) -> str:
    return f"| {' | '.join(cells)} |"


def main(arguments: list[str] | None = None) -> int:
    """Measure, write, print; return the exit status."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "gpu")
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("EQUIRGZ_DATA"))
    parser.add_argument("--smoke", action="store_true", help="tiny sizes: does it run?")
    options = parser.parse_args(arguments)
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("--device cuda: expected a GPU that this torch sees, got none; --device cpu --smoke rehearses")
    if options.device == "cpu" and not options.smoke:
        parser.error("--device cpu: expected --smoke with it, for the sizes are those of a GPU")
    options.data_dir = Path(options.data_dir) if options.data_dir else None
    parity, steps, run, notes = measure(options)
    sys.stdout.write(write(options.out, parity, steps, run, notes))
    return int(not run or any(row["error"] > row["limit"] for row in parity))


if __name__ == "__main__":
    sys.exit(main())
