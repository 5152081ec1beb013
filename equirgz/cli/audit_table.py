"""The table of an audit as a file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from equirgz.cli.figure_files import check_suffix
from equirgz.records import write_bytes_atomic

if TYPE_CHECKING:
    from equirgz.evaluate.audit_report import AuditReport


TABLES = (".csv", ".md")


def write_audit_table(report: AuditReport, path: Path, full: bool = False) -> None:
    """Write the errors of ``report`` to ``path`` (.csv or .md), by rename.

    csv: one row per measured error, unrounded: name, group, image_size (pixels), then the fields of
    an :class:`~equirgz.evaluate.audit_report.AuditRow` and ``passed``; ``limit`` is empty where nothing
    exact is claimed. md: the table that the command shows (``full``: of every error), its verdict and
    claim above and its notes below.
    Raises InputError for another suffix, ResultsError where the file cannot be written.
    """
    check_suffix("audit table", path, TABLES)
    text = _csv(report) if path.suffix.lower() == ".csv" else _markdown(report, full)
    write_bytes_atomic(path, text.encode())


def _csv(report: AuditReport) -> str:
    import pandas as pd

    of_all = {"name": report.name, "group": report.group, "image_size": report.image_size}
    rows = [{**of_all, **asdict(row), "passed": row.passed} for row in report.rows]
    return pd.DataFrame(rows).to_csv(index=False)


def _markdown(report: AuditReport, full: bool) -> str:
    from equirgz.evaluate.audit_report import KINDS

    if full:
        header = ["state", "precision", "what", "kind", "angle (degrees)", "after a flip", "error", ""]
        body = [
            [
                r.state,
                r.precision,
                r.what,
                KINDS[r.kind],
                f"{r.angle_deg:g}",
                "yes" if r.reflect else "no",
                f"{r.relative_l2:.1e}",
                "" if r.passed else "BROKEN",
            ]
            for r in report.rows
        ]
    else:
        header = ["state", "precision", "what", *KINDS.values(), ""]
        body = []
        for state, precision, what in dict.fromkeys((r.state, r.precision, r.what) for r in report.rows):
            same = {"state": state, "precision": precision, "what": what}
            worst = [report.worst(**same, kind=kind) for kind in KINDS]
            broken = not all(r.passed for r in report.rows if {k: getattr(r, k) for k in same} == same)
            cells = ["-" if error is None else f"{error:.1e}" for error in worst]
            body.append([state, precision, what, *cells, "BROKEN" if broken else ""])
    table = ["| " + " | ".join(line) + " |" for line in (header, ["---"] * len(header), *body)]
    verdict, claim, *_ = report.lines()
    notes = [f"note: {note}" for note in report.notes]
    return "\n".join([verdict, "", claim, "", *table, "", *notes, *[""] * bool(notes)])
