"""Keeping freed memory works where glibc is and says so."""

from __future__ import annotations

import subprocess
import sys


def test_keep_freed_memory_keeps_it():
    code = (
        "import sys, time, numpy as np\n"
        "from equirgz.train.memory import keep_freed_memory\n"
        "import resource\n"
        "kept = keep_freed_memory()\n"
        "x = np.ones(4_000_000); del x\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(5):\n    x = np.ones(4_000_000); del x\n"
        "faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "print(int(kept), faults)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    kept, faults = map(int, done.stdout.split())
    assert bool(kept) == sys.platform.startswith("linux")
    if kept:
        assert faults < 5_000  # five fresh arrays of 32 MB would fault in 39,000 pages of 4 kB
