"""Where runs are computed: in this process (``inline``) or in worker processes under Parsl (``local``)."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

from equirgz.errors import InputError, suggest

ENGINES = ("local", "inline")


class Engine(Protocol):
    """Takes calls, gives futures; ``close`` ends its workers."""

    def submit(self, function: Callable[[Any], Any], argument: Any) -> Future: ...

    def close(self) -> None: ...


class InlineEngine:
    """Computes each call at once in this process: no isolation, for tests and debuggers."""

    def submit(self, function: Callable[[Any], Any], argument: Any) -> Future:
        future: Future = Future()
        try:
            future.set_result(function(argument))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        pass


class ParslEngine:
    """Computes calls in worker processes of a Parsl HighThroughputExecutor."""

    def __init__(self, jobs: int, run_dir: Path, provider: Any = None) -> None:
        import parsl
        from parsl.app.python import PythonApp
        from parsl.executors import HighThroughputExecutor
        from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD
        from parsl.providers import LocalProvider

        logging.getLogger("parsl").setLevel(logging.ERROR)
        follow = [sys.executable, "-m", "equirgz.grid.follow", str(os.getpid()), sys.executable, "-m"]
        pool = shlex.join([*follow, "parsl.executors.high_throughput.process_worker_pool"])
        executor = HighThroughputExecutor(
            label="cells",
            address="127.0.0.1",
            max_workers_per_node=jobs,
            cores_per_worker=1e-6,
            provider=provider or LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1),
            launch_cmd=DEFAULT_LAUNCH_CMD.replace("process_worker_pool.py", pool, 1),
            interchange_launch_cmd=[*follow, "parsl.executors.high_throughput.interchange"],
            heartbeat_period=2,
            heartbeat_threshold=20,
            encrypted=False,
        )
        config = parsl.Config(
            executors=[executor], run_dir=str(run_dir), retries=0, strategy="none", initialize_logging=False,
            exit_mode="skip", usage_tracking=0,
        )
        self._kernel = parsl.DataFlowKernel(config)
        self._app_type = PythonApp
        self._apps: dict[Any, Any] = {}

    def submit(self, function: Callable[[Any], Any], argument: Any) -> Future:
        if function not in self._apps:
            self._apps[function] = self._app_type(function, data_flow_kernel=self._kernel, cache=False)
        return self._apps[function](argument)

    def close(self) -> None:
        self._kernel.cleanup()


def check_engine(name: str, jobs: int) -> None:
    """Raise InputError for an unknown engine or fewer than one job."""
    if name not in ENGINES:
        raise InputError(f"--engine: unknown {name!r}; {suggest(name, ENGINES)}")
    if jobs < 1:
        raise InputError(f"--jobs: expected at least 1, got {jobs}")


def create_engine(name: str, jobs: int, run_dir: Path) -> Engine:
    """Return the engine ``name``; ``run_dir`` takes its logs."""
    check_engine(name, jobs)
    if name == "inline":
        return InlineEngine()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return ParslEngine(jobs, run_dir)
