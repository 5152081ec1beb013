"""Run what a results folder is missing of a grid; safe to kill at any moment and to start again."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equirgz.grid.engine.dispatch import Dispatcher, Report
from equirgz.grid.engine.engine_config import EngineConfig
from equirgz.grid.engine.task import RUN_CELL, make_task
from equirgz.grid.plan.grid import Grid
from equirgz.grid.plan.preflight import Checked
from equirgz.grid.results.folder import ResultsFolder, State
from equirgz.paths import as_path


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
        """Whether every planned run is done."""
        return self.found + self.finished == self.planned


def run_grid(
    grid: Grid,
    out: Path,
    data_dir: Path | None = None,
    *,
    engine: EngineConfig | None = None,
    retry_failed: bool = False,
    fail_fast: bool = False,
    cell: str = RUN_CELL,
    check: Callable[[], Checked] | None = None,
    report: Report = lambda event, facts: None,
) -> Summary:
    """Compute every run of ``grid`` that ``out`` does not hold, on ``engine`` (default: one local worker).

    ``check`` is called once before any work, and not at all where there is none to do.
    A run that raises is recorded with its traceback and not run again unless ``retry_failed``; a
    run whose worker process died is tried again (see Dispatcher). ``report(event, facts)`` hears
    ``start``, ``done``, ``failed``, ``retry``, ``waiting`` and ``pretrained``. Raises ResultsError when the
    folder is in use, cannot be written, or belongs to another grid or version.
    """
    engine = engine or EngineConfig()
    folder = ResultsFolder(as_path(out))
    with folder.lock():
        folder.check_plan(grid)
        state = folder.scan([point.run_key for point in grid.points], set_aside=True)
        todo = set(state.missing) | (set(state.failed) if retry_failed else set())
        dispatcher = Dispatcher(folder, engine, report, cell)
        if todo and check is not None and engine.name == "local":
            dispatcher.start()  # workers import while the grid is checked
        try:
            checked = check() if check is not None and todo else Checked()
            folder.write_plan(grid, checked.n_labels)
            if checked.samples:
                folder.write_samples(checked.samples)
        except BaseException:
            dispatcher.close()
            raise
        report("start", {"planned": len(grid.points), "todo": len(todo), "done": len(state.done), "notes": state.notes})
        tasks = [
            make_task(point.config, folder.path, data_dir, grid=grid.name, cell=cell, engine=engine, parent=os.getpid())
            for point in grid.points
            if point.run_key in todo
        ]
        outcomes = dispatcher.run(tasks, fail_fast) if tasks else []
    return _summarise(grid, state, outcomes, retry_failed)


def _summarise(grid: Grid, state: State, outcomes: list[dict[str, Any]], retry_failed: bool) -> Summary:
    finished = sum(outcome["status"] == "done" for outcome in outcomes)
    failed = sum(outcome["status"] == "failed" for outcome in outcomes)
    before = 0 if retry_failed else len(state.failed)
    return Summary(len(grid.points), len(state.done), finished, failed + before, tuple(state.notes))
