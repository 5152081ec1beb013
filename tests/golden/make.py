"""Make the golden grid anew: ``python tests/golden/make.py`` (after a change that is meant to change numbers).

The code version is written as ``golden``, so that the tables do not change with every commit.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from unittest import mock

from equirgz.grid.engine import task
from equirgz.grid.engine.engine_config import make_engine_config
from equirgz.grid.plan.grid import load_grid
from equirgz.grid.results import folder
from equirgz.grid.results.collect import collect
from equirgz.grid.run import cell
from equirgz.grid.runner import run_grid
from equirgz.records import read_json, write_json_atomic
from equirgz.report import write_tables

HERE = Path(__file__).parent
KEPT = ("rows.csv", "predictions.csv.gz", "tables")
FROZEN = HERE / "frozen"


def compute(out: Path, overrides: tuple[str, ...] = ()) -> None:
    """Run the grid (or a part of it) into ``out`` and collect its rows, under the version ``golden``."""
    version = {"new": lambda: "golden"}
    with (
        mock.patch.object(folder, "code_version", **version),
        mock.patch.object(task, "code_version", **version),
        mock.patch.object(cell, "code_version", **version),
    ):
        run_grid(load_grid(HERE / "grid.yaml", overrides), out, engine=make_engine_config("inline"))
    collect(out)


def main() -> None:
    """Replace the frozen files."""
    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        compute(out)
        plan = read_json(out / "grid.json")
        (out / "timings.csv").unlink()  # seconds never repeat
        write_json_atomic(out / "grid.json", {**plan, "provenance": {}})
        write_tables(out)
        shutil.rmtree(FROZEN, ignore_errors=True)
        FROZEN.mkdir()
        for kept in (*KEPT, "grid.json"):
            source = out / kept
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, FROZEN / kept)


if __name__ == "__main__":
    main()
