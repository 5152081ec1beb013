"""Where numbers come from: code version, packages and device, without timestamps.

The *code version* names the code that decides numbers (:data:`SCIENCE`): run from a checkout it is
the package version and the last commit that touched that code, so that a commit to the docs, the
command line or the report leaves it as it is. Edited but uncommitted code adds ``.dirty`` and a
hash of the edited sources, so that two different edits are two different versions. Installed
without git, it is the package version and the hash of that code.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import equirgz

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "pandas", "lightning-fabric", "geomloss", "parsl", "pydantic")
SCIENCE = (  # parts of the package that decide numbers, relative to its folder
    "config",
    "records.py",
    "images.py",
    "seeding.py",
    "tasks",
    "geometry",
    "nn",
    "data",
    "augment",
    "backbones",
    "objectives",
    "train",
    "evaluate",
    "retrieval",
    "residual",
    "pretrained.py",
    "metrics",
    "imaging",
    "grid/run",
    "grid/further",
)


@functools.cache
def code_version() -> str:
    """Return e.g. ``0.1.0+g1a2b3c4d5e`` or ``0.1.0+g1a2b3c4d5e.dirty.9f8e7d``; ``0.1.0+s9f8e7d6c5b`` without git."""
    commit = code_commit()
    if commit is None:
        return f"{equirgz.__version__}+s{source_hash()[:10]}"
    dirty = f".dirty.{source_hash()[:6]}" if _git("status", "--porcelain", "--", *SCIENCE) else ""
    return f"{equirgz.__version__}+g{commit}{dirty}"


def code_commit() -> str | None:
    """Return the last commit (10 hex digits) that touched :data:`SCIENCE`; None outside a checkout of equirgz."""
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    return _git("log", "-1", "--format=%H", "--", *SCIENCE)[:10] or None


@functools.cache
def source_hash() -> str:
    """Return the SHA-256 (as of the first call) over names and bytes of every Python file of :data:`SCIENCE`."""
    root = _package_folder()
    digest = hashlib.sha256()
    for part in SCIENCE:
        path = root / part
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        for file in files:
            digest.update(f"{file.relative_to(root).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


@functools.cache
def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the installed :data:`PACKAGES`."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def describe_device(device: str = "cpu") -> dict[str, Any]:
    """Return what computes: machine, processor or GPU name, and cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    described = {"device": device, "machine": platform.machine(), "processor": _processor(), "cores": cores}
    if device.startswith("cuda") and "torch" in sys.modules:
        described["gpu"] = sys.modules["torch"].cuda.get_device_name(device)
    return described


def collect_provenance(device: str = "cpu") -> dict[str, Any]:
    """Return version, source hash, packages and device of the running process."""
    return {
        "version": code_version(),
        "source_hash": source_hash()[:16],
        "packages": package_versions(),
        "device": describe_device(device),
    }


def _package_folder() -> Path:
    return Path(equirgz.__file__).resolve().parent


def _git(*arguments: str) -> str | None:
    """Return what ``git arguments`` prints in the package's folder, None where it fails."""
    command = ["git", "-C", str(_package_folder()), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    """Return the processor's model name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
