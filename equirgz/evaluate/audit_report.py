"""What an audit found: one row per measured error, and the report's table and verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

LIMITS = {"float32": 1e-5, "float64": 1e-7, "deployed": 1e-5}
STATES = ("initial", "trained")
KINDS = {"lattice": "lattice", "element": "off lattice", "angle": "any angle"}


@dataclass(frozen=True)
class AuditRow:
    """One measured error. ``kind`` is "lattice", "element" (of the group, off the lattice) or "angle";
    ``limit`` is None where nothing exact is claimed."""

    state: str
    precision: str
    what: str
    kind: str
    angle_deg: float
    reflect: bool
    relative_l2: float
    limit: float | None

    @property
    def passed(self) -> bool:
        """Return whether the claim holds (NaN, which is not measured, never does)."""
        return self.limit is None or self.relative_l2 <= self.limit


@dataclass(frozen=True)
class AuditReport:
    """What :func:`audit` found. ``claim`` says in words what must be exact; ``notes`` what was left out."""

    name: str
    group: str
    image_size: int
    claim: str
    rows: tuple[AuditRow, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Return whether something was measured and every claimed exact symmetry holds."""
        return bool(self.rows) and all(row.passed for row in self.rows)

    @property
    def reasons(self) -> list[str]:
        """Return one line per broken claim, the worst first; one line where nothing was measured."""
        if not self.rows:
            return ["nothing was measured"]
        broken = sorted((r for r in self.rows if not r.passed), key=lambda r: -_nan_last(r.relative_l2))
        return [
            f"{r.what} {_change(r)} (limit {r.limit:.0e}) under {_act(r)}, {r.precision}, {r.state}" for r in broken
        ]

    @property
    def verdict(self) -> str:
        """Return "passed", or "FAILED" with the worst broken claim."""
        return "passed" if self.passed else f"FAILED: {self.reasons[0]}"

    def worst(self, **conditions: Any) -> float | None:
        """Return the largest error among rows whose fields equal ``conditions``; None without rows."""
        chosen = [r.relative_l2 for r in self._rows(**conditions)]
        return max(chosen, key=_nan_last) if chosen else None

    def _rows(self, **conditions: Any) -> list[AuditRow]:
        return [r for r in self.rows if all(getattr(r, k) == v for k, v in conditions.items())]

    def lines(self, full: bool = False) -> list[str]:
        """Return the report as text: the verdict, the claim, then the worst error per state, precision and layer, or
        every row, and the notes."""
        out = [self.verdict, f"{self.name}, {self.group}, {self.image_size} px: {self.claim}"]
        if full:
            out.append(f"{'state':9s}{'precision':11s}{'what':30s}{'action':24s}{'error':>9s}")
            out += [
                f"{r.state:9s}{r.precision:11s}{r.what[:29]:30s}{_act(r):24s}{r.relative_l2:9.1e}"
                f"{'' if r.passed else '  BROKEN'}"
                for r in self.rows
            ]
        else:
            out.append(f"{'state':9s}{'precision':11s}{'what':30s}" + "".join(f"{k:>13s}" for k in KINDS.values()))
            for state, precision, what in dict.fromkeys((r.state, r.precision, r.what) for r in self.rows):
                same = {"state": state, "precision": precision, "what": what}
                cells = [self.worst(**same, kind=kind) for kind in KINDS]
                broken = any(not r.passed for r in self._rows(**same))
                out.append(
                    f"{state:9s}{precision:11s}{what[:29]:30s}"
                    + "".join(f"{'-' if c is None else format(c, '.1e'):>13s}" for c in cells)
                    + ("  BROKEN" if broken else "")
                )
        return out + [f"note: {note}" for note in self.notes]


def describe_unmeasured(rows: Iterable[AuditRow]) -> list[str]:
    """Return one note per state and precision that names what has no relative error (NaN)."""
    unmeasured: dict[tuple[str, str], dict[str, None]] = {}
    for row in rows:
        if math.isnan(row.relative_l2):
            unmeasured.setdefault((row.state, row.precision), {})[row.what] = None
    return [
        f"not measured ({state}, {precision}): {', '.join(names)}, zero everywhere or not finite"
        for (state, precision), names in unmeasured.items()
    ]


def _change(row: AuditRow) -> str:
    if math.isnan(row.relative_l2):
        return "were not measured, error nan"
    return f"change by {row.relative_l2:.1e}"


def _nan_last(value: float) -> float:
    return value if value == value else float("inf")


def _act(row: AuditRow) -> str:
    return f"{row.angle_deg:g} degrees{' after a flip' if row.reflect else ''}"
