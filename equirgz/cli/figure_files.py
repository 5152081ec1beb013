"""A figure as a file of the name that the user gave."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from equirgz.errors import InputError
from equirgz.records import write_bytes_atomic

FIGURES = (".png", ".svg", ".pdf")


def check_suffix(option: str, path: Path | None, suffixes: tuple[str, ...]) -> None:
    """Raise InputError unless ``path`` is None or ends in one of ``suffixes``."""
    if path is not None and path.suffix.lower() not in suffixes:
        raise InputError(option, expected=f"a name that ends in {' or '.join(suffixes)}", got=repr(path.name))


def write_figure(figure: Any, path: Path) -> None:
    """Write a figure to ``path`` (.png, .svg or .pdf), by rename, in a folder made if need be.

    Raises InputError for another suffix, ResultsError where the file cannot be written.
    """
    check_suffix("figure", path, FIGURES)
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix[1:].lower())
    write_bytes_atomic(path, content.getvalue())
