"""Run what a results folder is missing of a grid; safe to kill at any moment and to start again."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equirgz.errors import ResultsError
from equirgz.grid.engine import check_engine, create_engine
from equirgz.grid.folder import ResultsFolder, State
from equirgz.grid.plan import Grid
from equirgz.grid.preflight import Checked
from equirgz.grid.task import RUN_CELL, make_task, record_failure, run_task

Report = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True)
class Summary:
    """What one call of :func:`run_grid` found and did; counts of runs."""

    planned: int
    found: int  # finished before this call
    finished: int  # finished by this call
    failed: int  # recorded as failed, before or by this call
    notes: tuple[str, ...]

    @property
    def complete(self) -> bool:
        return self.found + self.finished == self.planned


def run_grid(
    grid: Grid,
    out: Path,
    data_dir: Path | None = None,
    *,
    jobs: int = 1,
    engine: str = "local",
    retry_failed: bool = False,
    fail_fast: bool = False,
    attempts: int = 3,
    device: str = "cpu",
    cell: str = RUN_CELL,
    check: Callable[[], Checked] | None = None,
    report: Report = lambda event, facts: None,
) -> Summary:
    """Compute every run of ``grid`` that ``out`` does not hold, ``jobs`` at a time.

    ``check`` is called once before any work, and not at all where there is none to do.
    A run that raises is recorded with its traceback and not run again unless ``retry_failed``; a
    run whose worker process died is tried ``attempts`` times. ``report(event, facts)`` hears
    ``start``, ``done``, ``failed`` and ``retry``. Raises ResultsError when the folder is in use,
    cannot be written, or belongs to another grid or version.
    """
    check_engine(engine, jobs)
    folder = ResultsFolder(Path(out))
    with folder.lock():
        folder.check_plan(grid)
        state = folder.scan([point.run_key for point in grid.points], set_aside=True)
        todo = set(state.missing) | (set(state.failed) if retry_failed else set())
        checked = check() if check is not None and todo else Checked()
        folder.write_plan(grid, checked.n_labels)
        if checked.samples:
            folder.write_samples(checked.samples)
        report("start", {"planned": len(grid.points), "todo": len(todo), "done": len(state.done), "notes": state.notes})
        tasks = [
            make_task(point.config, folder.path, data_dir, grid=grid.name, cell=cell, device=device, parent=os.getpid())
            for point in grid.points
            if point.run_key in todo
        ]
        outcomes = _run_tasks(folder, tasks, engine, jobs, attempts, fail_fast, report) if tasks else []
    return _summarise(grid, state, outcomes, retry_failed)


def _run_tasks(folder: ResultsFolder, tasks: list[dict[str, Any]], engine_name: str, jobs: int, attempts: int,
               fail_fast: bool, report: Report) -> list[dict[str, Any]]:
    engine = create_engine(engine_name, min(jobs, len(tasks)), folder.path / "engine")
    waiting: dict[Future, tuple[dict[str, Any], int]] = {}
    outcomes = []
    try:
        for task in tasks:
            waiting[engine.submit(run_task, task)] = (task, 1)
        while waiting:
            finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                task, attempt = waiting.pop(future)
                outcome = _outcome_of(future, folder, task)
                if outcome["status"] == "lost" and attempt < attempts:
                    report("retry", {**outcome, "attempt": attempt + 1})
                    waiting[engine.submit(run_task, task)] = (task, attempt + 1)
                    continue
                if outcome["status"] == "lost":
                    outcome["status"] = "failed"
                    record_failure(folder, task, f"{outcome['error']}, {attempt} times", "")
                if outcome["status"] == "stop":
                    raise ResultsError(f"{outcome['error']}; finished runs are kept, start again to go on")
                outcomes.append(outcome)
                report(outcome["status"], outcome)
                if fail_fast and outcome["status"] == "failed":
                    return outcomes
    finally:
        engine.close()
    return outcomes


def _outcome_of(future: Future, folder: ResultsFolder, task: dict[str, Any]) -> dict[str, Any]:
    """Return the outcome of a task, ``lost`` where its worker process ended before it did."""
    error = future.exception()
    if error is None:
        return future.result()
    folder.running(task["run_key"]).unlink(missing_ok=True)
    return {"status": "lost", "run_key": task["run_key"], "error": f"the worker process ended ({error})"}


def _summarise(grid: Grid, state: State, outcomes: list[dict[str, Any]], retry_failed: bool) -> Summary:
    finished = sum(outcome["status"] == "done" for outcome in outcomes)
    failed = sum(outcome["status"] == "failed" for outcome in outcomes)
    before = 0 if retry_failed else len(state.failed)
    return Summary(len(grid.points), len(state.done), finished, failed + before, tuple(state.notes))
