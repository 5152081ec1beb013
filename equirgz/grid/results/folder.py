"""A results folder: where its files lie, who may write in it, and which runs it holds.

::

    grid.json                      what was planned, by which version
    cells/<run_key>.json           truth: one finished run
    cells/<run_key>.failed.json    a run that failed, with its traceback
    pretrained/<key>.safetensors   weights of a pre-training that several runs share
    running/<run_key>.json         host and process of a run that is being computed
    rows.csv predictions.csv.gz    collected from cells/
    timings.csv                    seconds and memory of each run, kept apart because they never repeat
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from equirgz.errors import ResultsError
from equirgz.grid.plan.grid import Grid
from equirgz.provenance import code_version, collect_provenance
from equirgz.records import read_json, write_bytes_atomic, write_json_atomic

FORMAT = 1
CELL_FIELDS = {"run_key", "status", "version", "config", "rows", "predictions", "timings", "provenance"}


@dataclass
class State:
    """Which planned runs are done, failed or missing; ``notes`` say what was found besides."""

    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ResultsFolder:
    """The paths of one results folder."""

    path: Path

    def cell(self, run_key: str) -> Path:
        return self.path / "cells" / f"{run_key}.json"

    def failed(self, run_key: str) -> Path:
        return self.path / "cells" / f"{run_key}.failed.json"

    def running(self, run_key: str) -> Path:
        return self.path / "running" / f"{run_key}.json"

    def hang(self, run_key: str) -> Path:
        """Where a run over its time limit leaves its stack."""
        return self.path / "running" / f"{run_key}.hang"

    def work(self, run_key: str) -> Path:
        """Checkpoints of a run that is being computed."""
        return self.path / "work" / run_key

    @property
    def pretrained(self) -> Path:
        return self.path / "pretrained"

    @property
    def grid(self) -> Path:
        return self.path / "grid.json"

    def check_writable(self) -> None:
        """Create the folder and write in it, or raise ResultsError."""
        probe = self.path / f".probe.{os.getpid()}"
        write_json_atomic(probe, 0)
        probe.unlink()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for one harness; raise ResultsError while another one lives.

        The lock is the kernel's (``flock``), so it ends with its process, however that ends; the
        file's text only names the holder.
        """
        self.check_writable()
        with open(self.path / ".lock", "a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise ResultsError(
                    f"{self.path} is in use by another harness ({file.read().strip() or 'unknown process'}); "
                    "wait for it, stop it, or choose another --out"
                ) from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}\n")
            file.flush()
            yield

    def read_plan(self) -> dict[str, Any] | None:
        """Return grid.json, None where there is none; a foreign file is a ResultsError."""
        if not self.grid.exists():
            return None
        plan = read_json(self.grid)
        if not isinstance(plan, dict) or "runs" not in plan or "version" not in plan:
            raise ResultsError(f"{self.grid}: expected the plan of a grid, got something else; choose another --out")
        if plan.get("format") != FORMAT:
            raise ResultsError(
                f"{self.grid}: expected results format {FORMAT}, got {plan.get('format')}; choose another --out"
            )
        return plan

    def check_plan(self, grid: Grid) -> None:
        """Raise ResultsError for a folder of another grid or of another code version."""
        old = self.read_plan()
        version = code_version()
        if old is None:
            return
        if old["name"] != grid.name:
            raise ResultsError(
                f"{self.path}: expected results of grid {grid.name!r}, got those of {old['name']!r}; "
                "choose another --out"
            )
        if old["version"] != version:
            raise ResultsError(
                f"{self.path}: expected results of equirgz {version}, got those of {old['version']}; "
                "numbers of two versions are not mixed: choose another --out, or run that version"
            )

    def write_plan(self, grid: Grid, n_labels: dict[str, int]) -> None:
        """Write grid.json, unless it holds this very plan; ``n_labels`` are counts by run_key, where known."""
        plan = describe_grid(grid, n_labels)
        old = self.read_plan()
        if old is None or any(old[key] != plan[key] for key in ("question", "document", "axes")):
            write_json_atomic(self.grid, plan)

    def write_samples(self, samples: dict[str, Any]) -> None:
        """Write samples.npz, example images that may be published."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **samples)
        write_bytes_atomic(self.path / "samples.npz", buffer.getvalue())

    def read_cell(self, run_key: str) -> dict[str, Any]:
        """Return a finished run; a damaged or foreign file is a ResultsError."""
        path = self.cell(run_key)
        cell = read_json(path)
        whole = isinstance(cell, dict) and set(cell) >= CELL_FIELDS
        if not whole or cell["run_key"] != run_key or cell["status"] != "done":
            raise ResultsError(f"{path}: expected the finished run {run_key}, got something else")
        return cell

    def read_failed(self, run_key: str) -> dict[str, Any]:
        """Return the record of a failed run (an unreadable record counts as one)."""
        try:
            record = read_json(self.failed(run_key))
        except ResultsError as error:
            record = {"error": str(error), "traceback": ""}
        return record if isinstance(record, dict) else {"error": "foreign record", "traceback": ""}

    def scan(self, run_keys: list[str], set_aside: bool = False) -> State:
        """Sort ``run_keys`` by what the folder holds; ``set_aside`` renames damaged files to ``*.damaged``."""
        state = State()
        version = (self.read_plan() or {}).get("version")
        for run_key in run_keys:
            if self.cell(run_key).exists():
                try:
                    found = self.read_cell(run_key).get("version")
                    if version is not None and found != version:
                        raise ResultsError(f"{self.cell(run_key)}: expected version {version}, got {found}")
                    state.done.append(run_key)
                    continue
                except ResultsError as error:
                    what = "counts as missing; `equirgz bench run` sets it aside and runs it again"
                    if set_aside:
                        os.replace(self.cell(run_key), self.cell(run_key).with_suffix(".json.damaged"))
                        what = f"set aside as {run_key}.json.damaged and run again"
                    state.notes.append(f"{error}; {what}")
            elif self.failed(run_key).exists():
                state.failed.append(run_key)
                continue
            state.missing.append(run_key)
        state.notes += self._notes_on_others(set(run_keys))
        return state

    def _notes_on_others(self, run_keys: set[str]) -> list[str]:
        names = {path.name for path in (self.path / "cells").glob("*.json")}
        planned = {f"{key}{end}" for key in run_keys for end in (".json", ".failed.json")}
        others = sorted(names - planned)
        if not others:
            return []
        return [f"{len(others)} file(s) in cells/ are no part of this grid and left alone, e.g. {others[0]}"]


def describe_grid(grid: Grid, n_labels: dict[str, int]) -> dict[str, Any]:
    """Return the content of grid.json: the resolved YAML, the runs with their labels, the versions.

    A label of the axis n_labels that says "all" becomes the count in ``n_labels``, as in the rows.
    """
    runs = []
    for point in grid.points:
        labels = dict(point.labels)
        if "n_labels" in labels and point.run_key in n_labels:
            labels["n_labels"] = n_labels[point.run_key]
        runs.append({"run_key": point.run_key, "cell_key": point.config.cell_key(), "labels": labels})
    return {
        "format": FORMAT,
        "name": grid.name,
        "question": grid.question,
        "columns": grid.columns,
        "axes": {axis.column: axis.labels for axis in grid.axes},
        "document": json.loads(json.dumps(grid.document, default=str)),
        "runs": runs,
        "configs": {config.cell_key(): config.shared_fields() for config in grid.runs},
        "version": code_version(),
        "provenance": collect_provenance(),
    }
