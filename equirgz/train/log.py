"""The record of one training: rows in memory, and the same rows as JSON lines on disk."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from equirgz.records import finite_or_none, write_bytes_atomic

logger = logging.getLogger("equirgz")


@dataclass
class TrainLog:
    """What happened: one row per logged step, the same on every run of the same configuration.

    rows : dicts with ``step`` (updates done) and numbers such as ``loss``, ``lr``, ``val/nll``.
    warnings : lines that were also sent to the logger ``equirgz``.
    best_step : update after which the validation error was lowest; None without validation.
    resumed_from : updates already done when this process took over; 0 for a fresh start.
    seconds : wall-clock time of this process's part, s.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    best_step: int | None = None
    resumed_from: int = 0
    seconds: float = 0.0

    def curve(self, name: str) -> list[tuple[int, float]]:
        """Return (step, value) wherever ``name`` was logged."""
        return [(row["step"], row[name]) for row in self.rows if row.get(name) is not None]

    def last(self, name: str) -> float | None:
        """Return the last logged value of ``name``, or None."""
        return next((row[name] for row in reversed(self.rows) if row.get(name) is not None), None)

    def warn(self, line: str) -> None:
        """Record a warning once and send it to the logger."""
        if line not in self.warnings:
            self.warnings.append(line)
            logger.warning(line)


class JsonLines:
    """Appends rows to a file, one JSON object a line; None as path writes nothing."""

    def __init__(self, path: Path | None, rows: list[dict[str, Any]]) -> None:
        """Start the file anew with ``rows``: what a resumed training already knows."""
        self.path = path
        if path is not None:
            write_bytes_atomic(path, "".join(_line(row) for row in rows).encode())

    def write(self, row: dict[str, Any]) -> None:
        """Append one row."""
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(_line(row))


def _line(row: dict[str, Any]) -> str:
    clean = {k: finite_or_none(v) if isinstance(v, float) else v for k, v in row.items()}
    return json.dumps(clean, sort_keys=True) + "\n"
