"""Tables and figures from a results folder: functions of its rows alone; torch is never imported."""

from __future__ import annotations

import importlib
from typing import Any

_EXPORTS = {  # imported on first use: rows need no statistics, tables no matplotlib
    "format_table": "equirgz.report.tables.write",
    "load_results": "equirgz.report.rows.results",
    "write_figures": "equirgz.report.figures.write_figures",
    "write_tables": "equirgz.report.tables.write",
}
__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module 'equirgz.report' has no attribute {name!r}")
