"""Engines: this process (``inline``), or worker processes under Parsl, here (``local``) or in SLURM jobs.

Paths may hold any character: what Parsl writes unquoted into shell commands is a plain path (see
:class:`equirgz.grid.engine.scratch.Scratch`) or quoted here.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

from equirgz.errors import EquirgzError, InputError
from equirgz.grid.engine.engine_config import EngineConfig
from equirgz.grid.engine.pool import POOL
from equirgz.grid.engine.scratch import Scratch

REFUSALS = 3  # SLURM jobs in a row that fail before any worker came: then the cluster refuses


class Engine(Protocol):
    """Takes calls, gives futures; ``waiting`` says why no worker is there, or raises InputError where none will come.

    ``close`` ends the workers; with ``failed`` the engine's logs are kept.
    """

    def submit(self, function: Callable[[Any], Any], argument: Any) -> Future: ...

    def waiting(self) -> str: ...

    def close(self, failed: bool = False) -> None: ...


class InlineEngine:
    """Computes each call at once in this process: no isolation, for tests and debuggers."""

    def submit(self, function: Callable[[Any], Any], argument: Any) -> Future:
        future: Future = Future()
        try:
            future.set_result(function(argument))
        except Exception as error:
            future.set_exception(error)
        return future

    def waiting(self) -> str:
        return ""

    def close(self, failed: bool = False) -> None:
        pass


class ParslEngine:
    """Computes calls in worker processes of a Parsl HighThroughputExecutor.

    Its files lie in a :class:`Scratch`, what SLURM's nodes write below ``log_dir``. Both are removed by ``close``,
    or kept below ``log_dir`` where the engine failed.
    """

    def __init__(self, config: EngineConfig, log_dir: Path, warm: str = "") -> None:
        import parsl
        from parsl.app.python import PythonApp

        logging.getLogger("parsl").setLevel(logging.CRITICAL)
        self._config = config
        self._scratch = Scratch()
        self._logs = log_dir.absolute() / self._scratch.path.name
        self._heard = time.monotonic()
        self._app_type = PythonApp
        self._apps: dict[Any, Any] = {}
        try:
            self._executor = make_executor(config, self._logs, warm)
            self._kernel = parsl.DataFlowKernel(
                parsl.Config(
                    executors=[self._executor],
                    run_dir=str(self._scratch.path),
                    retries=0,
                    strategy="simple",
                    strategy_period=2,
                    max_idletime=60.0,
                    initialize_logging=False,
                    exit_mode="skip",
                    usage_tracking=0,
                )
            )
        except EquirgzError:
            self._scratch.close()
            raise
        except Exception as error:
            self._scratch.close(self._logs)
            line = " ".join(str(error).split())
            raise InputError(f"--engine {config.name}: cannot start: {line}; use --engine inline") from error

    def submit(self, function: Callable[[Any], Any], argument: Any) -> Future:
        if function not in self._apps:
            self._apps[function] = self._app_type(function, data_flow_kernel=self._kernel, cache=False)
        return self._apps[function](argument)

    def waiting(self) -> str:
        if self._config.name != "local":
            return self._executor.waiting()
        limit_s, process = self._config.silence_s, self._executor.interchange_proc
        if process.poll() is not None:
            raise InputError(f"--engine local: {self._explain(f'its own process ended with {process.returncode}')}")
        if self._executor.connected_managers():
            self._heard = time.monotonic()
        elif time.monotonic() - self._heard > limit_s:
            raise InputError(f"--engine local: {self._explain(f'no worker process started within {limit_s:g} s')}")
        return ""

    def _explain(self, what: str) -> str:
        """Return ``what`` happened with the last words of the workers and the place of the logs."""
        texts = [path.read_text(errors="replace") for path in sorted(self._scratch.path.rglob("*.err"))]
        words = "".join(texts).strip().splitlines()
        last = f" ({words[-1][:200]})" if words else ""
        return f"{what}{last}; see {self._logs}, raise connect_timeout_s, or use --engine inline"

    def close(self, failed: bool = False) -> None:
        self._kernel.cleanup()
        self._scratch.close(self._logs if failed else None)
        if not failed:
            shutil.rmtree(self._logs, ignore_errors=True)
            with contextlib.suppress(OSError):
                self._logs.parent.rmdir()  # where nothing else is in it


def make_executor(config: EngineConfig, log_dir: Path, warm: str = "") -> Any:
    """Return the Parsl executor; on this host its processes end with this one, even if that is killed.

    Workers of SLURM jobs log into ``log_dir``, for the nodes share the results folder and nothing else. Workers fork
    from a process that has imported the module ``warm`` (:mod:`equirgz.grid.engine.pool`); those that are bound to
    GPUs start on their own.
    """
    from functools import partial

    from parsl.executors import HighThroughputExecutor
    from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD
    from parsl.jobs.error_handlers import windowed_error_handler

    local, executor_type = config.name == "local", HighThroughputExecutor
    if not local:
        from equirgz.grid.engine.slurm import CallbackExecutor

        executor_type = partial(CallbackExecutor, silence_s=config.silence_s)
    follow = [sys.executable, "-m", "equirgz.grid.engine.follow", str(os.getpid())]
    python = [sys.executable, "-m"]
    pool = ["equirgz.grid.engine.pool", warm] if warm and not config.accelerators else [POOL]
    words = [*(follow if local else []), *python, *pool]
    command = " ".join(map(shell_word, words))
    return executor_type(
        label="cells",
        address="127.0.0.1" if local else config.address,
        max_workers_per_node=config.workers,
        cores_per_worker=1e-6,
        available_accelerators=config.accelerators,
        provider=make_provider(config, log_dir),
        worker_logdir_root=None if local else shell_word(str(log_dir), formats=1),
        launch_cmd=DEFAULT_LAUNCH_CMD.replace("process_worker_pool.py", command, 1),
        interchange_launch_cmd=[*follow, *python, "parsl.executors.high_throughput.interchange"],
        heartbeat_period=2 if local else 5,
        heartbeat_threshold=20 if local else 30,
        drain_period=None if local else drain_seconds(config),
        block_error_handler=lambda executor, status: windowed_error_handler(executor, status, REFUSALS),
        encrypted=False,
    )


def shell_word(word: str, formats: int = 2) -> str:
    """Return ``word`` as one word of a shell command that passes ``str.format`` so many times, as Parsl's does."""
    quoted = shlex.quote(word)
    return quoted.replace("{", "{" * 2**formats).replace("}", "}" * 2**formats)


def make_provider(config: EngineConfig, log_dir: Path) -> Any:
    """Return Parsl's provider of the engine, whose SLURM jobs write into ``log_dir``; InputError without SLURM."""
    from parsl.providers import LocalProvider

    if config.name == "local":
        return LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1)
    if shutil.which("sbatch") is None:
        raise InputError("--engine slurm: expected the command sbatch on this host, got none; start on a login node")
    from equirgz.grid.engine.slurm import ForgettingSlurmProvider

    threads = "export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1"
    return ForgettingSlurmProvider(
        partition=config.partition,
        account=config.account,
        qos=config.qos,
        constraint=config.constraint,
        gres=config.gres,
        gpus_per_node=config.gpus or None,
        cores_per_node=config.cores_per_node,
        mem_per_node=config.node_memory_gb,
        nodes_per_block=1,
        init_blocks=config.nodes,
        min_blocks=0,
        max_blocks=config.nodes,
        walltime=config.walltime,
        exclusive=config.exclusive,
        worker_init=f"{threads}\n{config.worker_init}",
        scheduler_options=config.scheduler_options,
        cmd_timeout=60,
        poll_s=config.poll_s,
        log_dir=log_dir,
    )


def walltime_seconds(walltime: str) -> int:
    """Return the seconds of ``[D-]H:MM:SS``."""
    days, _, clock = walltime.rpartition("-")
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds


def drain_seconds(config: EngineConfig) -> int | None:
    """Return after how long a SLURM job takes no further run, so that its last one ends within the walltime."""
    if config.time_limit_s is None:
        return None
    left = walltime_seconds(config.walltime) - config.time_limit_s - 60
    if left <= 0:
        raise InputError(
            f"--time-limit: expected less than the SLURM walltime {config.walltime} by a minute, "
            f"got {config.time_limit_s:g} s; raise --walltime"
        )
    return int(left)


def create_engine(config: EngineConfig, log_dir: Path, warm: str = "") -> Engine:
    """Return the engine that ``config`` asks for; ``log_dir`` takes its logs where it fails.

    ``warm`` is the module that computes runs, which workers share.
    """
    return InlineEngine() if config.name == "inline" else ParslEngine(config, log_dir, warm)
