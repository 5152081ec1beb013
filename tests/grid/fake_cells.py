"""Stand-ins for the real cell function: instant, failing, dying and slow runs."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from equirgz.errors import DataError
from equirgz.grid.run.pretraining import pretrain_key, stage_keys
from equirgz.records import write_json_atomic
from equirgz.seeding import derive_seed


def warm_up():
    """Note the process that imports for all workers."""
    if marker := os.environ.get("FAKE_WARM"):
        with open(marker, "a") as file:
            file.write(f"{os.getpid()}\n")


def parents(config, data_dir, work_dir, *, grid, device):
    """As :func:`instant`, with a note of the worker and the process that it was forked from."""
    with open(os.environ["FAKE_WARM"] + ".runs", "a") as file:
        file.write(f"{os.getpid()} {os.getppid()}\n")
    time.sleep(0.2)  # so that both workers get runs
    return instant(config, data_dir, work_dir, grid=grid, device=device)


def instant(config, data_dir, work_dir, *, grid, device):
    """Rows and predictions that are a function of the configuration."""
    key = config.run_key()
    number = derive_seed(config.seed, key) / 2**63
    common = {
        "grid": grid,
        "run_key": key,
        "cell_key": config.cell_key(),
        "data": config.data.name,
        "backbone": config.backbone.name,
        "group": config.backbone.group,
        "objective": config.objective.name,
        "augmentation": config.train.augmentation,
        "n_labels": config.split.n_labels,
        "split_seed": config.split.split_seed,
        "seed": config.seed,
        "readout": "network",
        "split": "test",
        "unit": "%",
        "direction": "lower",
        "n": 2,
        "selection_rule": "last_step",
        "version": "0",
        "data_checksum": "c",
    }
    rows = [
        {**common, "metric": "error/rate", "angle_deg": None, "value": 100 * number},
        {**common, "metric": "error/rate", "angle_deg": 90.0, "value": None},
    ]
    block = {
        "readout": "network",
        "split": "test",
        "source_id": ["a", "b"],
        "target": [0, 1],
        "probability": [[1 - number, number], [number, 1 - number]],
    }
    timings = [{"metric": "train/seconds", "value": time.perf_counter(), "unit": "s"}]
    return {"rows": rows, "predictions": [block], "timings": timings}


def odd_seeds_fail(config, *arguments, **keywords):
    if config.seed % 2:
        raise DataError("seed: expected an even one, got an odd one")
    return instant(config, *arguments, **keywords)


def troubled(config, data_dir, work_dir, *, grid, device, accumulate=1):
    """Seed 1 is killed, the first time; 2 hangs in C code; 3 allocates without end; 4 needs smaller batches."""
    marker = Path(os.environ["FAKE_MARKER"])
    if config.seed == 1 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if config.seed == 2:
        sum(iter(int, 1))
    if config.seed == 3:
        hoard = []
        while True:
            hoard.append(bytearray(100_000_000))
    if config.seed == 4 and accumulate == 1:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
    return instant(config, data_dir, work_dir, grid=grid, device=device)


def pretraining(config, data_dir, work_dir, *, grid, device, store, only=None):
    """Writes its pre-training once; a run that finds none where it should have waited is an error."""
    path = store / f"{pretrain_key(config)}.json"
    if only == "pretrain":
        assert not path.exists()
        write_json_atomic(path, {})
        return None
    assert path.exists()
    return instant(config, data_dir, work_dir, grid=grid, device=device)


def staged(config, data_dir, work_dir, *, grid, device, store, only=None, stages=None):
    """Writes one stage at a time, each where those before it are there; a run needs them all."""
    paths = [store / f"{key}.json" for key in stage_keys(config)]
    done = [path.exists() for path in paths]
    if only == "pretrain":
        n = stages or len(paths)
        assert done == [True] * (n - 1) + [False] * (len(paths) - n + 1)
        write_json_atomic(paths[n - 1], {})
        return None
    for path in paths[sum(done) :]:  # what is not shared
        write_json_atomic(path, {})
    return instant(config, data_dir, work_dir, grid=grid, device=device)


def pretraining_fails_for_odd_seeds(config, data_dir, work_dir, **options):
    if config.seed % 2 and options.get("only"):
        raise DataError("seed: expected an even one, got an odd one")
    return pretraining(config, data_dir, work_dir, **options)


def slow(config, *arguments, **keywords):
    time.sleep(float(os.environ.get("FAKE_SECONDS", "0.3")))
    return instant(config, *arguments, **keywords)
