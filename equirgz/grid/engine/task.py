"""What a worker process does with one run: compute, then write its JSON last, or record why not.

A task is a plain dictionary, so that it travels to any worker; its outcome is one too.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from equirgz.config import RunConfig
from equirgz.errors import EquirgzError, ResultsError
from equirgz.grid.engine.engine_config import EngineConfig
from equirgz.grid.engine.follow import follow
from equirgz.grid.engine.limits import is_out_of_memory, memory_limit, share_of_memory, time_limit
from equirgz.grid.results.folder import ResultsFolder
from equirgz.paths import as_path
from equirgz.provenance import code_version, collect_provenance
from equirgz.records import write_json_atomic

RUN_CELL = "equirgz.grid.run.cell:run_cell"


def make_task(
    config: RunConfig,
    out: Path,
    data_dir: Path | None,
    *,
    grid: str,
    cell: str = RUN_CELL,
    engine: EngineConfig | None = None,
    parent: int | None = None,
) -> dict[str, Any]:
    """Return the task of one run; ``parent`` is the process whose end must end the worker."""
    engine = engine or EngineConfig()
    memory = engine.memory_limit_gb and engine.memory_limit_gb * 1e9
    if memory is None and engine.name == "local":
        memory = share_of_memory(engine.workers)
    return {
        "run_key": config.run_key(),
        "config": config.model_dump(mode="json"),
        "grid": grid,
        "cell": cell,
        "out": str(as_path(out).absolute()),
        "data_dir": None if data_dir is None else str(as_path(data_dir).absolute()),
        "device": engine.device,
        "parent": parent,
        "parent_host": platform.node(),
        "version": code_version(),
        "time_limit_s": engine.time_limit_s,
        "memory_limit": memory if engine.device == "cpu" else None,
        "accumulate": 1,
    }


def run_task(task: dict[str, Any]) -> dict[str, Any]:
    """Compute one run and write ``cells/<run_key>.json``; return its outcome.

    The outcome's ``status`` is ``done``, ``failed`` (recorded with its traceback; ``out_of_memory``
    says whether a smaller batch may help) or ``stop`` (no run can be computed: the folder takes no
    files, or the code changed; nothing was recorded). A task with ``only: pretrain`` writes the
    run's shared pre-training instead. No exception leaves this function but KeyboardInterrupt and
    SystemExit; a run over its time limit ends the process.
    """
    folder, run_key = ResultsFolder(Path(task["out"])), task["run_key"]
    version = code_version()  # remembered from the first run on: what this process has imported
    if version != task["version"]:
        error = f"the code changed while the grid ran: expected version {task['version']}, got {version}"
        return {"status": "stop", "run_key": run_key, "error": f"{error}; put it back, or choose another --out"}
    _use_one_thread()
    _follow_parent(task)
    start = time.perf_counter()
    own_process = task["parent"] != os.getpid()
    try:
        write_json_atomic(folder.running(run_key), {"host": platform.node(), "pid": os.getpid()})
        try:
            compute = _import_cell(task["cell"])  # not in the run's time
            limit_s, limit_bytes = (task["time_limit_s"], task["memory_limit"]) if own_process else (None, None)
            with time_limit(limit_s, folder.hang(run_key)), memory_limit(limit_bytes):
                result = _compute(compute, task, folder)
        except Exception as error:  # whatever a run raises is recorded, and the other runs go on
            return _record_failure(folder, task, error)
        seconds = time.perf_counter() - start
        if result is not None:
            write_json_atomic(
                folder.cell(run_key),
                {
                    "run_key": run_key,
                    "config": task["config"],
                    "status": "done",
                    "version": version,
                    "seconds": seconds,
                    "provenance": collect_provenance(task["device"]),
                    **result,
                },
            )
            folder.failed(run_key).unlink(missing_ok=True)
            shutil.rmtree(folder.work(run_key), ignore_errors=True)
        return {"status": "done", "run_key": run_key, "seconds": seconds}
    except ResultsError as error:
        return {"status": "stop", "run_key": run_key, "error": str(error)}
    finally:
        with contextlib.suppress(OSError):
            folder.running(run_key).unlink(missing_ok=True)


def _compute(
    compute: Callable[..., dict[str, Any] | None], task: dict[str, Any], folder: ResultsFolder
) -> dict[str, Any] | None:
    """Return what the cell function returns; None where only the pre-training was asked for."""
    options: dict[str, Any] = {"accumulate": task["accumulate"]} if task["accumulate"] > 1 else {}
    if task["config"].get("pretrain") is not None:
        options["store"] = folder.pretrained
    if task.get("only"):
        options["only"] = task["only"]
        if isinstance(task["config"]["pretrain"], list):
            options["stages"] = task["stages"]
    return compute(
        RunConfig.model_validate(task["config"]),
        None if task["data_dir"] is None else Path(task["data_dir"]),
        folder.work(task["run_key"]),
        grid=task["grid"],
        device=task["device"],
        **options,
    )


def record_failure(folder: ResultsFolder, task: dict[str, Any], error: str, trace: str) -> None:
    """Write ``cells/<run_key>.failed.json``."""
    write_json_atomic(
        folder.failed(task["run_key"]),
        {
            "run_key": task["run_key"],
            "config": task["config"],
            "status": "failed",
            "error": error,
            "traceback": trace,
            "version": code_version(),
        },
    )


def _record_failure(folder: ResultsFolder, task: dict[str, Any], error: Exception) -> dict[str, Any]:
    message = " ".join(str(error).split()) or "no message"
    line = message if isinstance(error, EquirgzError) else f"{type(error).__name__}: {message}"
    record_failure(folder, task, line, traceback.format_exc())
    return {
        "status": "failed",
        "run_key": task["run_key"],
        "error": line,
        "out_of_memory": is_out_of_memory(error),
    }


def _import_cell(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _use_one_thread() -> None:
    """Compute on one thread: sums are then taken in one order, so rows do not depend on ``--jobs``."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


_followed: set[int] = set()


def _follow_parent(task: dict[str, Any]) -> None:
    """End this worker soon after its harness ended (same host only)."""
    parent = task["parent"]
    if parent is None or parent == os.getpid() or task["parent_host"] != platform.node() or parent in _followed:
        return
    _followed.add(parent)
    follow(parent)
