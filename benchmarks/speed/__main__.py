"""How much faster than escnn and e2cnn? Training step, inference, construction, memory, checkpoint.

    python -m benchmarks.speed [--out results/speed] [--groups C4,C8,D4,D8,D16,D32] [--sizes 65,151]
                               [--reference-python .venv-reference/bin/python] [--threads 2] [--device cpu]

Every cell (group, image size) is a fresh process of the reference environment (``make
install-reference``); ``benchmarks/speed/cell.py`` says what happens in it. D32 runs without the
libraries, which need minutes to build it, unless ``--all`` is given. Without a reference
environment (``--no-reference``) only native, dense, bf16 and plain are compared. Writes rows.csv,
run.json, tables and a figure, and prints the ratio table. ``--report`` draws anew from rows.csv. ``--quick`` measures
less, in under four minutes (:mod:`benchmarks.speed.quick`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

from benchmarks.speed.report import write_report

ROOT = Path(__file__).resolve().parents[2]
BATCH = {"C4": 16, "C8": 16, "D4": 16, "D8": 8, "D16": 4, "D32": 2}  # at 151 pixels; four times as many at 65
COLUMNS = [
    "group", "image_size_px", "batch", "threads", "device", "engine", "quantity", "value", "unit", "q25", "q75",
    "rounds", "ratio", "ratio_q25", "ratio_q75", "status",
]  # fmt: skip


def run_cell(python: str, group: str, size: int, engines: list[str], options: argparse.Namespace) -> list[dict]:
    """Return the rows of one cell, measured in a process of its own."""
    batch = BATCH.get(group, 4) * (4 if size < 100 else 1)
    command = [python, "-W", "ignore", "-m", "benchmarks.speed.cell", group, str(size)]
    command += ["--engines", ",".join(engines), "--batch", str(batch), "--threads", str(options.threads)]
    command += ["--seconds", str(options.seconds), "--device", options.device]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def run_augmentation(options: argparse.Namespace) -> list[dict]:
    """Return the rows of augmentation against Pillow, in this environment: threads of equirgz, workers of Pillow."""
    rows = []
    n = options.threads
    for threads, workers, turn, own in (
        (1, 0, "nearest", "bilinear"), (n, 0, "nearest", "bilinear"), (n, n, "nearest", "bilinear"),
        (1, 0, "bilinear", "bilinear"), (n, 0, "bilinear", "bilinear"), (n, 0, "nearest", "nearest"),
    ):  # fmt: skip
        command = [sys.executable, "-m", "benchmarks.speed.augment", "--device", options.device]
        command += ["--threads", str(threads), "--workers", str(workers), "--turn", turn]
        command += ["--own", own]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        words = [f"pillow, {turn}", *([f"{workers} workers"] * (workers > 0)), *(["own nearest"] * (own == "nearest"))]
        rows.append({
            "image_size_px": found["size_px"], "batch": found["batch"], "threads": threads,
            "device": options.device, "engine": ", ".join(words),
            "quantity": "two_views", "value": found["equirgz_images_per_s"], "unit": "images / s",
            "rounds": found["rounds"], "ratio": found["ratio"], "ratio_q25": found["ratio_q25"],
            "ratio_q75": found["ratio_q75"],
        })  # fmt: skip
    return rows


def versions_of(python: str) -> dict:
    """Return the provenance and library versions of an environment."""
    code = (
        "import importlib.metadata as m, json\n"
        "from equirgz.provenance import collect_provenance\n"
        "p = collect_provenance()\n"
        "for name in ('escnn', 'e2cnn', 'Pillow'):\n"
        "    try: p['packages'][name] = m.version(name)\n"
        "    except m.PackageNotFoundError: pass\n"
        "from equirgz.kernels import load_kernels\n"
        "p['kernels'] = str(load_kernels() or 'torch')\n"
        "from equirgz.train.fabric import cpu_has_bf16\n"
        "p['cpu_has_bf16'] = cpu_has_bf16()\n"
        "print(json.dumps(p))"
    )
    done = subprocess.run([python, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    """Measure every cell, then write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "speed")
    parser.add_argument("--groups", default="C4,C8,D4,D8,D16,D32")
    parser.add_argument("--sizes", default="65,151")
    parser.add_argument("--reference-python", default=str(ROOT / ".venv-reference" / "bin" / "python"))
    parser.add_argument("--no-reference", action="store_true")
    parser.add_argument("--all", action="store_true", help="the libraries at D32 too")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=12.0, help="of alternation per cell and quantity")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--quick", action="store_true", help="under four minutes: see benchmarks.speed.quick")
    parser.add_argument("--minutes", type=float, default=4.0, help="with --quick: after which no part begins")
    options = parser.parse_args()
    if options.quick:
        return run_quick(options)
    if not options.report:
        measure_all(options)
    sys.stdout.write(write_report(options.out))


def run_quick(options: argparse.Namespace) -> None:
    """Run :mod:`benchmarks.speed.quick` in the reference environment, or in this one where there is none."""
    python = options.reference_python
    if options.no_reference or not Path(python).exists():
        python = sys.executable
    command = [python, "-W", "ignore", "-m", "benchmarks.speed.quick", "--threads", str(options.threads)]
    command += [
        "--seconds",
        str(min(options.seconds, 6.0)),
        "--minutes",
        str(options.minutes),
        "--out",
        str(options.out),
    ]
    sys.exit(subprocess.run(command, cwd=ROOT, check=False).returncode)


def measure_all(options: argparse.Namespace) -> None:
    """Run every cell and write rows.csv and run.json."""
    python = sys.executable if options.no_reference else options.reference_python
    if not Path(python).exists():
        sys.exit(f"no reference environment at {python}: run 'make install-reference', or give --no-reference")
    rows, start = [], time.perf_counter()
    for size in map(int, options.sizes.split(",")):
        for group in options.groups.split(","):
            engines = ["native", "dense", "bf16", "escnn", "e2cnn", "plain"]
            if options.no_reference or (group == "D32" and not options.all):
                engines = ["native", "dense", "bf16", "plain"]
            sys.stderr.write(f"{time.perf_counter() - start:6.0f} s  {group} at {size} px\n")
            rows += run_cell(python, group, size, engines, options)
    rows += run_augmentation(options)
    options.out.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    table.to_csv(options.out / "rows.csv", index=False, float_format="%.6g", lineterminator="\n")
    run = {
        "command": f"python -m benchmarks.speed --threads {options.threads} --seconds {options.seconds:g} "
        f"--groups {options.groups} --sizes {options.sizes} --device {options.device}",
        "minutes": round((time.perf_counter() - start) / 60, 1),
        "environment": versions_of(python),
    }
    (options.out / "run.json").write_text(json.dumps(run, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
