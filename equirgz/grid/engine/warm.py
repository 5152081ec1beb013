"""Imported by the server that workers fork from: the module that computes runs, and what its ``warm_up()`` imports.

The code version is taken before, so that workers hold what it names. Whatever fails here fails in the run again,
where it is recorded.
"""

from __future__ import annotations

import contextlib
import importlib
import os


def warm_up(module: str) -> None:
    """Import ``module`` and call its ``warm_up``, as far as that goes."""
    from equirgz.provenance import code_version

    code_version()
    with contextlib.suppress(Exception):
        getattr(importlib.import_module(module), "warm_up", lambda: None)()


if name := os.environ.get("EQUIRGZ_WARM"):
    warm_up(name)
