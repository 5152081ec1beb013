"""Python in a fresh process in which torch cannot be imported, as on a laptop that only reads results."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

PREAMBLE = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("torch is not installed", name=name)

sys.meta_path.insert(0, NoTorch())
"""


def run_without_torch(code: str, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Return the ended process of ``code``, its ``sys.argv[1:]`` being ``arguments``; options as subprocess.run's."""
    command = [sys.executable, "-c", PREAMBLE + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)
