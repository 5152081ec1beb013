"""What a results folder holds of its grid, read from disk alone: also while another machine fills it."""

from __future__ import annotations

import time
from pathlib import Path

from equirgz.paths import as_path
from equirgz.errors import ResultsError
from equirgz.grid.results.folder import ResultsFolder
from equirgz.records import read_json


def describe_status(out: Path) -> list[str]:
    """Return lines: counts of runs, then one per running run and one per failed run with its error.

    Raises ResultsError for a folder without grid.json.
    """
    folder = ResultsFolder(as_path(out))
    plan = folder.read_plan()
    if plan is None:
        raise ResultsError(f"{out}: expected a results folder with grid.json, got none; check the path")
    labels = {run["run_key"]: run["labels"] for run in plan["runs"]}
    if not (folder.path / "cells").is_dir():
        failed = dict(plan["failed"]) if isinstance(plan.get("failed"), dict) else {}
        first = f"{plan['name']}: {len(labels)} runs by equirgz {plan['version']}; no cells/ here, see rows.csv"
        return [first, *(f"failed {key} {_show(labels.get(key, {}))}: {error}" for key, error in failed.items())]
    state = folder.scan(list(labels))
    running = list_running(folder)
    lines = [
        f"{plan['name']}: {len(state.done)} of {len(labels)} runs finished, {len(state.failed)} failed, "
        f"{len(running)} running, {len(state.missing)} missing (equirgz {plan['version']})"
    ]
    for run_key, facts in running.items():
        name = f"{run_key} {_show(labels.get(run_key, {}))}"
        lines.append(f"running {name} for {facts['seconds']:.0f} s on {facts['host']}")
    for run_key in state.failed:
        lines.append(f"failed {run_key} {_show(labels[run_key])}: {folder.read_failed(run_key).get('error')}")
    return lines + state.notes


def list_running(folder: ResultsFolder) -> dict[str, dict]:
    """Return run_key -> host, pid and seconds of each run that is being computed (or died unnoticed)."""
    found = {}
    for path in sorted((folder.path / "running").glob("*.json")):
        try:
            found[path.stem] = {**read_json(path), "seconds": max(0.0, time.time() - path.stat().st_mtime)}
        except (ResultsError, OSError):  # finished in the meantime
            continue
    return found


def _show(labels: dict) -> str:
    return " ".join(f"{key}={value}" for key, value in labels.items())
