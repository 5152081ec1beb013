"""Parsl's pool of workers, all forked from one warm process: what a run imports is imported once on a host.

``python -m equirgz.grid.engine.pool MODULE ARGUMENTS...`` is Parsl's ``process_worker_pool`` with the start method
"forkserver" in the place of "spawn". The server imports ``MODULE``, calls its ``warm_up()`` where there is one
(:mod:`equirgz.grid.engine.warm`), computes nothing and so has no threads; a worker that dies is replaced at once.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys

POOL = "parsl.executors.high_throughput.process_worker_pool"
WARM = "EQUIRGZ_WARM"


def main() -> None:
    """Become Parsl's pool."""
    import parsl.multiprocessing

    os.environ[WARM] = sys.argv.pop(1)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # as every run has it
        os.environ[name] = "1"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["equirgz.grid.engine.warm"])
    parsl.multiprocessing.SpawnContext = context
    runpy.run_module(POOL, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
