"""Run a benchmark grid from Python and print its table.

python benchmarks/examples/run_a_grid.py runs/example        (about a minute on two cores)
"""

import sys
from pathlib import Path

from equirgz.grid.engine.engine_config import make_engine_config
from equirgz.grid.plan.grid import load_grid
from equirgz.grid.plan.preflight import check_grid
from equirgz.grid.results.publish import publish
from equirgz.grid.runner import run_grid
from equirgz.report import format_table

GRID = Path(__file__).parents[1] / "smoke.yaml"


def main(out: Path, overrides: tuple[str, ...] = (), engine: str = "local") -> str:
    """Compute what ``out`` lacks of the grid, write tables, figures and page, and return the error table."""
    grid = load_grid(GRID, overrides)  # e.g. "group=[C1, D8]", "train.steps=100"
    summary = run_grid(grid, out, engine=make_engine_config(engine), check=lambda: check_grid(grid, None))
    assert summary.complete, f"{summary.failed} runs failed; see `equirgz bench status {out}`"
    publish(out)
    return format_table(out, metric="error/rate", split="test")


if __name__ == "__main__":
    print(main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/example")))
