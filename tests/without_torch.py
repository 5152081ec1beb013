"""Python in a fresh process in which packages cannot be imported, as on a laptop that only reads results."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import Any

PREAMBLE = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in NAMES:
            raise ModuleNotFoundError(f"{name} is not installed", name=name)

sys.meta_path.insert(0, Absent())
"""


def run_without(
    names: Sequence[str], code: str, *arguments: object, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Return the ended process of ``code``, its ``sys.argv[1:]`` being ``arguments``; options as subprocess.run's.

    None of the packages ``names`` (as they are imported) is there.
    """
    command = [sys.executable, "-c", f"NAMES = {list(names)}\n{PREAMBLE}{code}", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def run_without_torch(code: str, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Return the ended process of ``code`` without torch (:func:`run_without`)."""
    return run_without(["torch"], code, *arguments, **options)
