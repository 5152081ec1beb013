"""What it costs to begin: seconds of the processor of a command, from the start of Python to its end.

    python -m benchmarks.startup [--rounds 3] [--out results/overhead]

``import equirgz``, ``equirgz --help``, the tables of the committed mirabest_quick (7,182 rows) from its rows, what a
worker imports before its first run, and what the second worker of a host needs, which forks from the first
(:mod:`equirgz.grid.engine.pool`). User and system seconds of the whole process, the least of ``--rounds``, so that
others on the machine count little. Writes startup.csv and startup.md.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from equirgz.provenance import code_version, describe_device
from equirgz.records import write_bytes_atomic

ROOT = Path(__file__).resolve().parents[1]
WORKER = "import equirgz.grid.engine.warm as w; w.warm_up('equirgz.grid.run.cell')"
FORKED = f"""
import os, resource
{WORKER}
child = os.fork()
if child == 0:
    import equirgz.grid.run.cell
    os._exit(0)
os.waitpid(child, 0)
spent = resource.getrusage(resource.RUSAGE_CHILDREN)
print(spent.ru_utime + spent.ru_stime)
"""
EQUIRGZ = ["-m", "equirgz"]


def commands(results: Path) -> dict[str, list[str]]:
    """Return what is measured; ``results`` is a copy whose tables may be written."""
    return {
        "import equirgz": ["-c", "import equirgz"],
        "equirgz --help": [*EQUIRGZ, "--help"],
        "equirgz bench tables mirabest_quick": [*EQUIRGZ, "bench", "tables", str(results)],
        "a worker before its first run": ["-c", WORKER],
    }


def seconds_of(arguments: list[str]) -> float:
    """Return the seconds that Python spends on ``arguments``, of this and of no other process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def seconds_of_a_fork() -> float:
    """Return the seconds of a worker that forks from a warm process."""
    done = subprocess.run([sys.executable, "-c", FORKED], cwd=ROOT, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def measure(rounds: int) -> dict[str, float]:
    """Return the least seconds of each."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(shutil.copytree(ROOT / "results" / "mirabest_quick", Path(folder) / "results"))
        found = {name: min(seconds_of(call) for _ in range(rounds)) for name, call in commands(results).items()}
    return found | {"a worker beside another": min(seconds_of_a_fork() for _ in range(rounds))}


def write_table(seconds: dict[str, float], out: Path) -> str:
    """Write startup.csv and startup.md into ``out``; return the latter."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["what", "cpu_seconds"])
    writer.writerows([name, f"{value:.3g}"] for name, value in seconds.items())
    lines = ["| what | CPU seconds |", "| :-- | --: |", *(f"| {k} | {v:.2f} |" for k, v in seconds.items())]
    where = f"{describe_device()['processor']}, equirgz {code_version()}."
    page = "\n".join([*lines, "", f"User and system seconds, the least of some rounds. {where}", ""])
    write_bytes_atomic(out / "startup.csv", text.getvalue().encode())
    write_bytes_atomic(out / "startup.md", page.encode())
    return page


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "overhead")
    options = parser.parse_args()
    print(write_table(measure(options.rounds), options.out))


if __name__ == "__main__":
    main()
