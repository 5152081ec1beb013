"""Tables and figures from a results folder: functions of its rows alone; torch is never imported."""

from pathlib import Path

from equirgz.report.rows.results import Results, load_results
from equirgz.report.tables.write import format_table, write_tables

__all__ = ["format_table", "load_results", "write_figures", "write_tables"]


def write_figures(folder: Path | str | Results) -> list[Path]:
    """Write figures/*.{png,svg} of a results folder; see `equirgz.report.figures.write_figures`."""
    from equirgz.report.figures.write_figures import (
        write_figures as write,  # matplotlib and seaborn take a second
    )

    return write(folder)
