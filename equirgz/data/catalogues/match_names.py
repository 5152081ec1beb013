"""Rows of a catalogue for the image files of a folder, by name.

A name is a path without the ending of an image file: ``u/src`` for ``u/src.fits.gz``.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from equirgz.data.catalogues.catalogue import ID_NAMES, Column, find_column
from equirgz.data.catalogues.labels import tidy_text
from equirgz.errors import DataError

FITS_ENDINGS = (".fits", ".fit", ".fits.gz", ".fit.gz", ".fits.fz")
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_ENDINGS = tuple(sorted(FITS_ENDINGS + PICTURE_ENDINGS, key=len, reverse=True))


def drop_ending(name: str) -> str:
    """Return a name without the ending of an image file; other endings stay (``a.b.png`` gives ``a.b``)."""
    ending = next((ending for ending in _ENDINGS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)]


def match_names(rows: pd.DataFrame, files: list[Path], source: str, id_column: Column = None) -> np.ndarray:
    """Return the row of every file (paths relative to the folder), -1 for none, from the best id column.

    Names are compared in Unicode's composed form. Of the id columns present (or named) the one that matches most
    files counts. An id that is the file's path without ending comes first; else one whose last parts are that path
    (``images/u/src`` for ``u/src``), or that is its last parts (``u/src``, then ``src``, for ``v/u/src``): an id in
    another folder is no match. Raises DataError where there is no id column, where a matched id stands in several
    rows, and where one row would serve several files.
    """
    usual = [(name,) for name in ID_NAMES] if id_column is None else [()]
    known = [find_column(rows, names, id_column) for names in usual]
    columns = list(dict.fromkeys(column for column in known if column is not None))
    if not columns:
        raise DataError(
            f"{source}: expected an id column such as name or file, got {', '.join(map(str, rows))}; "
            "name it with id_column"
        )
    names = [drop_ending(unicodedata.normalize("NFC", file.as_posix())) for file in files]
    found = [(_match_column(rows[column], names), f"{source}: column {column!r}") for column in columns]
    places, where = max(found, key=lambda item: sum(map(bool, item[0])))  # the first of equals
    file_of: dict[int, Path] = {}
    for place, name, file in zip(places, names, files, strict=True):
        if len(place) > 1:
            got = f"rows {', '.join(map(str, place[:5]))} for {file}"
            mend = "keep one row, or name the folders in the ids (u/src, v/src)"
            raise DataError(where, expected=f"one row that matches {name}", got=got, mend=mend)
        other = file_of.setdefault(place[0], file) if place else file
        if other is not file:
            expected = f"one file for the row {place[0]}"
            mend = "name the folders in the ids (u/src, v/src), or rename a file"
            raise DataError(where, expected=expected, got=f"{other} and {file}", mend=mend)
    return np.array([place[0] if place else -1 for place in places], dtype=int)


def _match_column(values: pd.Series, names: list[str]) -> list[list[int]]:
    """Return the rows (counted from 0) whose id fits best, for every name."""
    whole: dict[str, list[int]] = defaultdict(list)
    tail: dict[str, list[int]] = defaultdict(list)
    for k, value in enumerate(values):
        if pd.isna(value):
            continue
        first, *others = _tails(tidy_text(value))
        whole[first].append(k)
        for other in others:
            tail[other].append(k)
    found = []
    for name in names:
        own, *shorter = _tails(name)
        choices = (whole.get(own), tail.get(own), *(whole.get(part) for part in shorter))
        found.append(next((rows for rows in choices if rows), []))
    return found


def _tails(name: str) -> list[str]:
    """Return ``a/b/c``, ``b/c`` and ``c`` of ``a/b/c.png`` or ``/a/b/c``."""
    parts = [part for part in PurePosixPath(drop_ending(name)).parts if part != "/"]
    return ["/".join(parts[k:]) for k in range(len(parts))] or [""]
