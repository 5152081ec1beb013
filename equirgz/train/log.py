"""The record of one training, in memory."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

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
