"""Give tasks to an engine and follow them to their outcomes: dependencies, retries, refusals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

from equirgz.config import RunConfig
from equirgz.errors import InputError, ResultsError
from equirgz.grid.engine.engine_config import EngineConfig
from equirgz.grid.engine.task import record_failure, run_task
from equirgz.grid.engine.workers import Engine, create_engine
from equirgz.grid.results.folder import ResultsFolder

Report = Callable[[str, dict[str, Any]], None]
Task = dict[str, Any]


class Dispatcher:
    """Runs tasks on one engine until each has an outcome.

    A task whose worker died is tried again, one that ran out of memory with its batches cut in
    twice as many parts; both at most ``engine.attempts`` times. Tasks that share a pre-training
    wait for the one that computes it.
    """

    def __init__(self, folder: ResultsFolder, engine: EngineConfig, report: Report, cell: str = "") -> None:
        self.folder, self.config, self.report = folder, engine, report
        self._module = cell.partition(":")[0]
        self._engine: Engine | None = None
        self.outcomes: list[dict[str, Any]] = []
        self._attempts: dict[int, int] = defaultdict(int)
        self._running: dict[Future, Task] = {}
        self._held: dict[str, list[Task]] = {}
        self._reason = ""

    def start(self) -> None:
        """Start the workers, if they are not; whoever calls it closes them, after :meth:`run` too."""
        if self._engine is None:
            self._failed = False
            self._engine = create_engine(self.config, self.folder.path / "engine", self._module)

    def close(self) -> None:
        """End the workers."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close(self._failed)

    def run(self, tasks: list[Task], fail_fast: bool = False) -> list[dict[str, Any]]:
        """Return the outcome of every task; with ``fail_fast`` of those up to the first failure."""
        self.start()
        self._failed = True
        period_s = self.config.poll_s if self.config.name == "slurm" else min(self.config.poll_s, 2.0)
        try:
            for task in self._order(tasks):
                future = self._submit(task)
                if future.done() and self._take(future) and fail_fast:  # the inline engine computes at once
                    return self._end()
            while self._running:
                finished, _ = wait(self._running, period_s, FIRST_COMPLETED)
                if not finished:
                    self._tell_why()
                for future in finished:
                    if self._take(future) and fail_fast:
                        return self._end()
            return self._end()
        finally:
            self.close()

    def _end(self) -> list[dict[str, Any]]:
        """Return the outcomes; the engine's logs are kept where a worker was lost for good."""
        self._failed = any(outcome.get("lost") for outcome in self.outcomes)
        return self.outcomes

    def _tell_why(self) -> None:
        """Report why no run comes to its end, where the engine knows a new reason."""
        reason = self._engine.waiting()
        if reason and reason != self._reason:
            self.report("waiting", {"reason": reason})
        self._reason = reason

    def _order(self, tasks: list[Task], depth: int = 0) -> list[Task]:
        """Return the tasks to start with: shared stages of pre-trainings first; tasks that wait for them are held.

        Stages before ``depth`` are done. Tasks that share a stage wait for the one that computes it, then those of them
        that share the next one for that.
        """
        first, rest = [], []
        by_key: dict[str, list[Task]] = defaultdict(list)
        for task in tasks:
            keys = self._stage_keys(task)
            if depth < len(keys):
                by_key[keys[depth]].append(task)
            else:
                rest.append(task)
        for key, sharing in by_key.items():
            if (self.folder.pretrained / f"{key}.json").exists():
                begun, going = self._order(sharing, depth + 1), []
            elif len(sharing) == 1:
                begun, going = sharing, []
            else:
                self._held[key] = sharing
                begun, going = [], [{**sharing[0], "only": "pretrain", "pretrain_key": key, "stages": depth + 1}]
            first, rest = first + going, rest + begun
        return [*first, *rest]

    @staticmethod
    def _stage_keys(task: Task) -> list[str]:
        from equirgz.grid.run.pretraining import stage_keys

        return stage_keys(RunConfig.model_validate(task["config"])) if task["config"].get("pretrain") else []

    def _submit(self, task: Task) -> Future:
        self._attempts[id(task)] += 1
        future = self._engine.submit(run_task, task)
        self._running[future] = task
        return future

    def _take(self, future: Future) -> bool:
        """Deal with the end of one task; return whether a run failed by it."""
        task = self._running.pop(future)
        n_before = len(self.outcomes)
        self._settle(task, future)
        return any(outcome["status"] == "failed" for outcome in self.outcomes[n_before:])

    def _settle(self, task: Task, future: Future) -> None:
        """Record the outcome of one task, or try it again, or start what waited for it."""
        outcome = self._outcome_of(task, future)
        if outcome["status"] == "stop":
            raise ResultsError(f"{outcome['error']}; finished runs are kept, start again to go on")
        attempt = self._attempts[id(task)]
        lost, crowded = outcome["status"] == "lost", outcome.get("out_of_memory", False)
        if (lost or crowded) and attempt < self.config.attempts:
            if crowded:
                task["accumulate"] *= 2
                outcome["error"] += f"; batches in {task['accumulate']} parts"
            self.report("retry", {**outcome, "attempt": attempt + 1})
            self._submit(task)
            return
        if lost:
            outcome = {**outcome, "status": "failed", "lost": True, "error": f"{outcome['error']}, {attempt} times"}
            record_failure(self.folder, task, outcome["error"], "")
        if task.get("only"):
            self._release(task, outcome)
            return
        self.outcomes.append(outcome)
        self.report(outcome["status"], outcome)

    def _release(self, task: Task, outcome: dict[str, Any]) -> None:
        """Start what waited for a pre-training, or record that it failed."""
        waiting = self._held.pop(task["pretrain_key"])
        if outcome["status"] == "done":
            self.report("pretrained", {**outcome, "runs": len(waiting)})
            for held in self._order(waiting, task["stages"]):
                self._submit(held)
            return
        record = self.folder.read_failed(task["run_key"])
        for held in waiting:
            error = f"its pre-training failed: {outcome['error']}"
            record_failure(self.folder, held, error, str(record.get("traceback", "")))
            self.outcomes.append({"status": "failed", "run_key": held["run_key"], "error": error})
            self.report("failed", self.outcomes[-1])

    def _outcome_of(self, task: Task, future: Future) -> dict[str, Any]:
        """Return the outcome of a task; ``lost`` where its worker process ended before it did."""
        error = future.exception()
        if error is None:
            return future.result()
        if type(error).__name__ == "BadStateException":
            raise InputError(f"--engine {self.config.name}: no worker could be started: {_first_words(error)}")
        run_key = task["run_key"]
        self.folder.running(run_key).unlink(missing_ok=True)
        hang = self.folder.hang(run_key)
        if hang.exists() and (trace := hang.read_text()):
            hang.unlink()
            line = f"time limit of {task['time_limit_s']:g} s exceeded"
            record_failure(self.folder, task, line, trace)
            return {"status": "failed", "run_key": run_key, "error": line}
        hang.unlink(missing_ok=True)
        if not task.get("only") and self.folder.cell(run_key).exists():
            return {"status": "done", "run_key": run_key, "seconds": 0.0}  # it was written before the worker died
        return {"status": "lost", "run_key": run_key, "error": f"the worker process ended ({_first_words(error)})"}


def _first_words(error: BaseException) -> str:
    return " ".join(f"{error} {getattr(error, 'exception', '')}".split())[:300]
