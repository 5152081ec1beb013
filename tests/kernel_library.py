"""The optional C library, built as an installation does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def build(folder: Path, **environment: str) -> list[Path]:
    """Build as an installation does; return the libraries that came out."""
    command = [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", str(folder), "--build-temp"]
    subprocess.run([*command, str(folder / "temp")], cwd=ROOT, env=os.environ | environment, check=True)
    return list((folder / "equirgz" / "nn" / "cpu").glob("_kernels*"))
