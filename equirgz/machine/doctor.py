"""``equirgz doctor``: one line for each thing that decides whether equirgz works here, and how fast."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from equirgz.data.cache import cache_dir
from equirgz.data.root import ENVIRONMENT_VARIABLE, data_root
from equirgz.errors import install_command
from equirgz.machine.requirements import Needed, list_needed
from equirgz.pretrained import list_pretrained
from equirgz.provenance import code_version, describe_device

OLDEST_PYTHON = (3, 11)
LOW_MEMORY_GB, LOW_DISK_GB = 2.0, 1.0
SLURM = ("sbatch", "squeue", "scancel")


@dataclass(frozen=True)
class Finding:
    """One line of the report; ``state`` is ok, none (a part that is optional), slow, warn or FAIL (no training)."""

    state: str
    what: str
    text: str

    def __str__(self) -> str:
        return f"{self.state:5s} {self.what:10s} {self.text}"


def examine(data_dir: Path | None = None) -> list[Finding]:
    """Return what was found; no file is written, no network touched. A training cannot work where one is FAIL."""
    needed = list_needed()
    return [
        _examine_python(),
        _examine_core(needed),
        *_examine_torch(),
        _examine_memory(),
        _examine_folder("data root", data_root(data_dir), f"set {ENVIRONMENT_VARIABLE} or give --data-dir"),
        _examine_folder("cache", cache_dir(), "set EQUIRGZ_CACHE to a writable folder, or files are read each time"),
        *_examine_extras(needed or []),
        _examine_slurm(),
        _examine_encoders(),
    ]


def _examine_python() -> Finding:
    good = sys.version_info >= OLDEST_PYTHON
    text = f"equirgz {code_version()}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    return Finding("ok" if good else "FAIL", "version", text if good else f"{text}; needs Python 3.11 or newer")


def _examine_core(needed: list[Needed] | None) -> Finding:
    if needed is None:
        return Finding("warn", "packages", "equirgz runs from a folder and is not installed; pip install -e FOLDER")
    core = [package for package in needed if not package.extra]
    missing = [str(package) for package in core if package.installed is None]
    unfit = [str(package) for package in core if package.installed is not None and not package.fits]
    if missing:
        return Finding("FAIL", "packages", f"{', '.join(missing)}; {install_command('torch')}")
    if unfit:
        return Finding("warn", "packages", f"{', '.join(unfit)}; pip install --upgrade equirgz")
    shown = [f"{package.name} {package.installed}" for package in core if package.name in ("torch", "numpy", "scipy")]
    return Finding("ok", "packages", f"all {len(core)} in the versions asked for: {', '.join(shown)}")


def _examine_torch() -> Iterator[Finding]:
    """Yield the findings about devices, threads and memory that torch keeps."""
    try:
        import torch
    except Exception as error:  # a half-installed torch raises whatever its libraries do
        yield Finding("FAIL", "devices", f"torch cannot be imported: {_one_line(error)}; {install_command('torch')}")
        return
    described = describe_device()
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    cuda = ", ".join(gpus) or ("none" if torch.version.cuda else "none (torch without CUDA)")
    yield Finding("ok", "devices", f"cpu {described['processor']}, {described['cores']} cores; GPUs: {cuda}")
    threads, cores = torch.get_num_threads(), described["cores"]
    told = f" (OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']})" if "OMP_NUM_THREADS" in os.environ else ""
    text = f"torch uses {threads} of {cores} cores{told}"
    if threads == 1 < cores:
        yield Finding("slow", "threads", f"{text}; for one training unset OMP_NUM_THREADS, a grid runs --jobs {cores}")
    elif threads > cores:
        yield Finding("slow", "threads", f"{text}; set OMP_NUM_THREADS={cores}")
    else:
        yield Finding("ok", "threads", text)
    from equirgz.kernels import load_kernels
    from equirgz.train.memory import keep_freed_memory

    kernels = load_kernels()
    if kernels is None:
        yield Finding(
            "none",
            "kernels",
            "torch does their work; an installation with a C compiler brings faster ones",
        )
    else:
        yield Finding("ok", "kernels", f"convolutions, pooling and turns on CPUs: {kernels}")
    yield _examine_costs()
    if keep_freed_memory():
        yield Finding("ok", "mallopt", "freed memory is kept in the process while training")
    else:
        yield Finding("slow", "mallopt", "not there (Linux with glibc has it): large arrays cost anew each step")


def _examine_costs() -> Finding:
    """Say what chooses between the two ways of a convolution."""
    from equirgz.nn.cpu.machine_costs import Costs, load_costs

    costs = load_costs()
    if costs == Costs():
        text = "built-in formula; `equirgz doctor --measure` times the convolutions of this machine, 10 s"
        return Finding("none", "costs", text)
    ways = f"expanded {costs.dense:.2f}, in bfloat16 {costs.half:.2f}, factored {costs.fourier:.2f}"
    return Finding("ok", "costs", f"measured here: {ways} times the formula")


def _examine_memory() -> Finding:
    try:
        import psutil
    except ImportError:
        return Finding("warn", "memory", f"not known without psutil; {install_command('psutil')}")
    memory = psutil.virtual_memory()
    free, total = memory.available / 1e9, memory.total / 1e9
    text = f"{free:.1f} of {total:.1f} GB free"
    low = free < LOW_MEMORY_GB
    return Finding("slow" if low else "ok", "memory", f"{text}; give fewer --jobs" if low else text)


def _examine_folder(what: str, folder: Path, mend: str) -> Finding:
    """Say where a folder is, what is free there and whether it can be written, by its nearest parent if not there."""
    folder = folder.absolute()
    nearest = next(parent for parent in (folder, *folder.parents) if os.path.exists(parent))  # also behind a locked one
    there = "" if os.path.isdir(folder) else " (not there yet)"
    if not os.path.isdir(nearest):
        return Finding("warn", what, f"{folder}: {nearest} is a file; {mend}")
    free = shutil.disk_usage(nearest).free / 1e9
    text = f"{folder}{there}, {free:.1f} GB free"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return Finding("warn", what, f"{text}, cannot be written; {mend}")
    if free < LOW_DISK_GB:
        return Finding("warn", what, f"{text}; {mend}")
    return Finding("ok", what, f"{text}, writable")


def _examine_extras(needed: list[Needed]) -> Iterator[Finding]:
    """Yield a line for each extra: there, not there, or half there."""
    for extra in dict.fromkeys(package.extra for package in needed if package.extra):
        packages = [package for package in needed if package.extra == extra]
        fit = [package for package in packages if package.fits]
        text = ", ".join(map(str, packages))
        if len(fit) < len(packages):
            text += f"; pip install 'equirgz[{extra}]'"
        absent = all(package.installed is None for package in packages)
        state = "ok" if len(fit) == len(packages) else "none" if absent else "warn"
        yield Finding(state, f"[{extra}]", text)


def _examine_slurm() -> Finding:
    found = [command for command in SLURM if shutil.which(command)]
    if len(found) == len(SLURM):
        return Finding("ok", "SLURM", f"{', '.join(found)}: bench run --engine slurm")
    missing = ", ".join(command for command in SLURM if command not in found)
    return Finding("warn" if found else "none", "SLURM", f"without {missing}; grids run on this machine")


def _examine_encoders() -> Finding:
    n = len(list_pretrained())
    return Finding("ok", "encoders", f"{n} inside the package") if n else Finding("none", "encoders", "none shipped")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
